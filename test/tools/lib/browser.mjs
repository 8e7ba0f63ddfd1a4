/** Chromium for the scripts that look at our pages. */
import { existsSync } from 'node:fs';

const usual = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
];

/** Where Chromium is; undefined where this machine has none. */
export const chromiumPath = process.env.CHROMIUM_PATH ?? usual.find(existsSync);

/** How it is started. Its sandbox needs a user that is not root. */
export const launchOptions = {
  ...(chromiumPath && { executablePath: chromiumPath }),
  chromiumSandbox: process.getuid?.() !== 0,
};

/**
 * Collects what a reader would not see: errors, and requests to other hosts, which are refused.
 *
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} origin the only one that may be asked
 * @param {(text: string, url: string) => boolean} [isExpected] whether an error of the console belongs to what is tried
 */
export async function watched(context, origin, isExpected = () => false) {
  /** @type {string[]} */
  const faults = [];
  await context.route(
    (url) => url.origin !== origin,
    (route) => {
      faults.push(`asks ${route.request().url()}`);
      return route.abort();
    },
  );
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    const url = message.location().url;
    if (message.type() === 'error' && !isExpected(message.text(), url)) faults.push(`${message.text()} ${url}`);
  });
  return { page, faults };
}
