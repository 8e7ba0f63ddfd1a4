/** Chromium for the tools that use our pages. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Unavailable } from './tool.mjs';

const usualPaths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
];

/** Starts Chromium. @throws {Unavailable} when this machine has none */
export function launchBrowser() {
  const executablePath = process.env.CHROMIUM_PATH ?? usualPaths.find(existsSync);
  if (!executablePath) {
    throw new Unavailable('this machine has no Chromium: apt-get install chromium, or set CHROMIUM_PATH');
  }
  // Chromium's sandbox refuses root.
  return chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
}

/**
 * Opens a page and collects errors that a reader would not see: errors in the browser's console, and requests to other
 * hosts, which are aborted.
 *
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} origin the only host that the page may ask
 * @param {(text: string) => boolean} [isExpected] whether an error in the console belongs to the test
 */
export async function watchedPage(context, origin, isExpected = () => false) {
  /** @type {string[]} */
  const errors = [];
  await context.route(
    (url) => url.origin !== origin,
    (route) => {
      errors.push(`the page asks ${route.request().url()}`);
      return route.abort();
    },
  );
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isExpected(message.text())) {
      errors.push(`${message.text()} ${message.location().url}`);
    }
  });
  return { page, errors };
}
