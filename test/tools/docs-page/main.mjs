/**
 * The docs page in Chromium: opened under its own headers with no other network, used with a key, and read on a narrow
 * screen and in the dark. With --screenshots FOLDER it leaves pictures of what it saw.
 */
import { deepStrictEqual as equal, ok } from 'node:assert';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { startService } from '../clients/service.mjs';
import { chromiumPath, launchOptions, watched } from '../lib/browser.mjs';
import { brightestOfBackground, faintTexts, parametersOfList, stored, widths } from '../lib/readable.mjs';
import { authorize, execute, open, operation, tryOut } from './page.mjs';

/** @typedef {import('../clients/service.mjs').Service} Service */

const { values } = parseArgs({ options: { screenshots: { type: 'string' } } });

if (!chromiumPath) {
  process.stdout.write('docs page: not run because Chromium is missing (apt-get install chromium, or CHROMIUM_PATH)\n');
} else {
  const service = await startService();
  const browser = await chromium.launch(launchOptions);
  try {
    await check('is used with a key', { viewport: { width: 1280, height: 900 } }, useWithKey);
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
    await check('folds the lookups of a list', { viewport: { width: 390, height: 844 } }, foldsLookups);
    await check('is read on a phone', phone, read);
    await check('is read on a phone in the dark', { ...phone, colorScheme: 'dark' }, readInTheDark);
    await check('is read in the dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }, readInTheDark);
  } finally {
    await browser.close();
    await service.stop();
  }

  /**
   * One look at the page by one kind of reader; what is logged as an error, fails, or asks another host fails it.
   *
   * @param {string} name @param {import('playwright-core').BrowserContextOptions} reader
   * @param {(page: import('playwright-core').Page, service: Service) => Promise<void>} look
   */
  async function check(name, reader, look) {
    const context = await browser.newContext(reader);
    const { page, faults } = await watched(context, service.url);
    try {
      await open(page, service.url);
      await look(page, service);
      equal(faults, []);
      process.stdout.write(`docs page ${name}: passed\n`);
    } catch (error) {
      process.exitCode = 1;
      const text = error instanceof Error ? error.message : String(error);
      process.stdout.write(`docs page ${name}: failed\n${[text, ...faults].join('\n')}\n`);
    }
    if (values.screenshots) {
      await page.screenshot({ path: join(values.screenshots, `${name.replaceAll(' ', '-')}.png`), fullPage: true });
    }
    await context.close();
  }
}

/** @param {import('playwright-core').Page} page @param {Service} service */
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
  equal(await page.evaluate(stored), '{}{}');

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
  await isReadable(page);
}

/** A list is sent without scrolling past a hundred fields, and each of them can be filled in. @param {import('playwright-core').Page} page @param {Service} service */
async function foldsLookups(page, { key }) {
  await authorize(page, key);
  const block = operation(page, 'checkout_sessions_list');
  await tryOut(block);
  const fields = block.locator('tr[data-param-name]');
  const published = await page.evaluate(parametersOfList);
  ok((await fields.count()) < 20 && published > 100);
  const [top, execute] = [await block.boundingBox(), await block.locator('.btn.execute').boundingBox()];
  const screens = ((execute?.y ?? 0) - (top?.y ?? 0)) / 844;
  ok(screens < 4, `the request is sent ${screens} screens below the head of the list`);

  await block.locator('.more-filters').click();
  equal(await fields.count(), published);
  await block.locator('tr[data-param-name="locale__iexact"] input').fill('EN');
  await block.locator('.more-filters').click();
  const [response] = await Promise.all([
    page.waitForResponse((one) => one.url().includes('/api/')),
    block.locator('.btn.execute').click(),
  ]);
  equal([response.status(), new URL(response.url()).search], [200, '?locale__iexact=EN']);

  // The key is gone with the page.
  await page.reload();
  await page.locator('.opblock').first().waitFor();
  equal(await page.locator('.btn.authorize.locked').count(), 0);
  await isReadable(page);
}

/** @param {import('playwright-core').Page} page */
async function read(page) {
  for (const operationId of ['checkout_sessions_create', 'checkout_sessions_list']) {
    await tryOut(operation(page, operationId));
  }
  await isReadable(page);
  await page.locator('.btn.authorize').first().click();
  await isReadable(page);
}

/** @param {import('playwright-core').Page} page */
async function readInTheDark(page) {
  const brightest = await page.evaluate(brightestOfBackground);
  ok(brightest < 64, `the background is of brightness ${brightest}`);
  await read(page);
}

/** Nothing is beyond the right edge, and every text stands out from what is behind it. @param {import('playwright-core').Page} page */
async function isReadable(page) {
  const { page: needed, screen } = await page.evaluate(widths);
  ok(needed <= screen, `the page is ${needed} pixels wide on a screen of ${screen}`);
  equal(await page.evaluate(faintTexts), []);
}
