/** `npm run docs-page`: see the help below. */
import { deepStrictEqual as equal, ok } from 'node:assert';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launchBrowser, watchedPage } from '../lib/browser.mjs';
import { brightestOfBackground, countListParameters, faintTexts, storage, widths } from '../lib/readable.mjs';
import { startService } from '../lib/service.mjs';
import { messageOf, report, runTool } from '../lib/tool.mjs';
import { authorize, execute, open, operation, tryOut } from './page.mjs';

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {import('../lib/service.mjs').StartedService} Service
 */

const help = `Usage: npm run docs-page -- [options]

Uses /docs in Chromium, under its own headers and without other hosts: with a key, on a narrow screen, and in the dark.

  --screenshots FOLDER   leave screenshots there

Exits with 1 when a check fails, with 77 when this machine has no Chromium.
`;

/** @param {string[]} args */
const readOptions = (args) => parseArgs({ args, options: { screenshots: { type: 'string' } } }).values;

const desktop = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** @type {readonly (readonly [name: string, reader: import('playwright-core').BrowserContextOptions, use: (page: Page, service: Service) => Promise<void>])[]} */
const checks = [
  ['works with a key', desktop, useWithKey],
  ['folds the filters of a list', { viewport: { width: 390, height: 844 } }, foldFilters],
  ['is readable on a phone', phone, read],
  ['is readable on a phone in the dark', { ...phone, colorScheme: 'dark' }, readInTheDark],
  ['is readable in the dark', { ...desktop, colorScheme: 'dark' }, readInTheDark],
];

await runTool(help, readOptions, async ({ screenshots }) => {
  const browser = await launchBrowser();
  const service = await startService();
  let failed = 0;
  try {
    for (const [name, reader, use] of checks) {
      const context = await browser.newContext(reader);
      const { page, errors } = await watchedPage(context, service.url);
      const failures = await open(page, service.url)
        .then(() => use(page, service))
        .then(() => /** @type {string[]} */ ([]))
        .catch((error) => [messageOf(error)]);
      failures.push(...errors);
      report(`docs page ${name}`, failures);
      if (failures.length > 0) failed += 1;
      if (screenshots) {
        await page.screenshot({ path: join(screenshots, `${name.replaceAll(' ', '-')}.png`), fullPage: true });
      }
      await context.close();
    }
  } finally {
    await browser.close();
    await service.stop();
  }
  return failed === 0;
});

/** @param {Page} page @param {Service} service */
async function useWithKey(page, { key }) {
  equal(await page.title(), 'Checkout Sessions');
  equal(await page.locator('.opblock-tag').evaluateAll((tags) => tags.map((tag) => tag.getAttribute('data-tag'))), [
    'checkout-sessions',
    'changes',
    'enums',
    'statistics',
    'stripe',
    'stripe-reads',
    'health',
  ]);
  await authorize(page, key);
  equal(await page.evaluate(storage), '{}{}');

  const created = await execute(page, 'checkout_sessions_create');
  equal([created.status, created.shown], [201, 201]);
  const listed = await execute(page, 'checkout_sessions_list');
  equal([listed.status, listed.shown, listed.url.search], [200, 200, '']);
  equal(listed.body.results, [created.body]);

  const { id } = created.body;
  /** @type {[operationId: string, status: number][]} */
  const others = [
    ['checkout_sessions_retrieve', 200],
    ['checkout_sessions_partial_update', 200],
    ['checkout_sessions_update', 200],
    ['enums_list', 200],
    ['enums_retrieve', 200],
    ['stripe_events_list', 200],
    ['checkout_sessions_destroy', 204],
  ];
  for (const [operationId, status] of others) {
    const answer = await execute(page, operationId);
    equal([operationId, answer.status, answer.shown], [operationId, status, status]);
    if (answer.url.pathname.startsWith('/api/checkout-sessions/')) ok(answer.url.pathname.endsWith(`/${id}`));
  }
  await expectReadable(page);
}

/**
 * Sends a list without scrolling past a hundred fields, then unfolds the fields and fills one in.
 *
 * @param {Page} page @param {Service} service
 */
async function foldFilters(page, { key }) {
  await authorize(page, key);
  const block = operation(page, 'checkout_sessions_list');
  await tryOut(block);
  const fields = block.locator('tr[data-param-name]');
  const published = await page.evaluate(countListParameters);
  ok((await fields.count()) < 20 && published > 100);
  const [top, execute] = [await block.boundingBox(), await block.locator('.btn.execute').boundingBox()];
  const screens = ((execute?.y ?? 0) - (top?.y ?? 0)) / 844;
  ok(screens < 4, `the button is ${screens} screens below the head of the list`);

  await block.locator('.more-filters').click();
  equal(await fields.count(), published);
  await block.locator('tr[data-param-name="locale__iexact"] input').fill('EN');
  await block.locator('.more-filters').click();
  const [response] = await Promise.all([
    page.waitForResponse((one) => one.url().includes('/api/')),
    block.locator('.btn.execute').click(),
  ]);
  equal([response.status(), new URL(response.url()).search], [200, '?locale__iexact=EN']);

  // The page keeps the key only until it is reloaded.
  await page.reload();
  await page.locator('.opblock').first().waitFor();
  equal(await page.locator('.btn.authorize.locked').count(), 0);
  await expectReadable(page);
}

/** @param {Page} page */
async function read(page) {
  for (const operationId of ['checkout_sessions_create', 'checkout_sessions_list']) {
    await tryOut(operation(page, operationId));
  }
  await expectReadable(page);
  await page.locator('.btn.authorize').first().click();
  await expectReadable(page);
}

/** @param {Page} page */
async function readInTheDark(page) {
  const brightest = await page.evaluate(brightestOfBackground);
  ok(brightest < 64, `the background has the brightness ${brightest}`);
  await read(page);
}

/** Checks that nothing is beyond the right edge, and that every text has enough contrast. @param {Page} page */
async function expectReadable(page) {
  const { page: needed, screen } = await page.evaluate(widths);
  ok(needed <= screen, `the page is ${needed} pixels wide on a screen of ${screen}`);
  equal(await page.evaluate(faintTexts), []);
}
