/**
 * The console in Chromium: every view with a key and without, hostile text, no sessions and 100,000, the service going away
 * and coming back, on two widths, light and dark, with axe-core. With --screenshots FOLDER it leaves pictures.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { startService } from '../clients/service.mjs';
import { chromiumPath, launchOptions, watched } from '../lib/browser.mjs';
import { directoryOf } from './many.mjs';
import { deliver, hostileEvent, monthOfEvents, recordedEvents } from './material.mjs';
import { startStripe } from './stripe.mjs';
import {
  comesBack,
  entersKey,
  findsBySearch,
  isEmpty,
  pagesThroughMany,
  readsOnly,
  refreshes,
  showsHostileText,
  showsNewStates,
} from './use.mjs';
import { looksAtEachView } from './views.mjs';

const { values } = parseArgs({ options: { screenshots: { type: 'string' }, only: { type: 'string' } } });
const noKeys = { API_KEYS: '', API_READ_KEYS: '' };

if (!chromiumPath) {
  process.stdout.write('console: not run because Chromium is missing (apt-get install chromium, or CHROMIUM_PATH)\n');
  process.exitCode = 77;
} else {
  const browser = await chromium.launch(launchOptions);
  const stripe = await startStripe();
  try {
    await withService(noKeys, (service) => check('has nothing to show', service, isEmpty));
    await withService(stripe.environment, async (service) => {
      const events = monthOfEvents(160).reverse();
      await deliver(service, [...recordedEvents(), ...events]);
      await check('asks for the key', service, entersKey);
      await check('finds by the search box', service, findsBySearch(events));
      await check('shows everything but the raw object to a key that reads', service, readsOnly(events));
      await check('fetches from Stripe', service, refreshes(stripe.sessions));
      await check('shows new states by itself', service, showsNewStates);
      for (const width of [1280, 390]) {
        for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
          const reader = { viewport: { width, height: width === 390 ? 844 : 860 }, colorScheme };
          const folder = values.screenshots;
          await check(
            `is readable at ${width} in the ${colorScheme}`,
            service,
            looksAtEachView(events, colorScheme, folder),
            reader,
          );
        }
      }
      await deliver(service, [hostileEvent()]);
      await check('takes no text for markup', service, showsHostileText);
    });
    await check('waits for the service', undefined, comesBack);
    await withMany(100_000, (service) => check('pages through 100,000 sessions', service, pagesThroughMany));
  } finally {
    await browser.close();
    stripe.stop();
  }

  /**
   * One use of the page; what is logged as an error, fails, or asks another host fails it.
   *
   * @param {string} name @param {import('../clients/service.mjs').Service | undefined} service undefined where the use starts
   *   its own
   * @param {import('./use.mjs').Use} use @param {import('playwright-core').BrowserContextOptions} [reader]
   */
  async function check(name, service, use, reader = { viewport: { width: 1280, height: 860 } }) {
    if (values.only && !name.includes(values.only)) return;
    const context = await browser.newContext(reader);
    const expected = { text: /^$/ };
    const watch = (/** @type {string} */ origin) => watched(context, origin, (text) => expected.text.test(text));
    /** @type {string[]} */
    let faults = [];
    /** @type {import('playwright-core').Page | undefined} */
    let page;
    try {
      await use({
        service: /** @type {import('../clients/service.mjs').Service} */ (service),
        expect: (text) => {
          expected.text = text;
        },
        async open(url) {
          ({ page, faults } = await watch(new URL(url).origin));
          await page.goto(url);
          return page;
        },
      });
      if (faults.length > 0) throw new Error('what a reader would not see:');
      process.stdout.write(`console ${name}: passed\n`);
    } catch (error) {
      process.exitCode = 1;
      const text = error instanceof Error ? error.message : String(error);
      process.stdout.write(`console ${name}: failed\n${[text, ...faults].join('\n')}\n`);
      if (values.screenshots && page) {
        await page.screenshot({ path: join(values.screenshots, `failed-${name.replaceAll(' ', '-')}.png`) });
      }
    }
    await context.close();
  }
}

/** @param {Record<string, string>} settings @param {(service: import('../clients/service.mjs').Service) => Promise<void>} use */
async function withService(settings, use) {
  const service = await startService(settings);
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

/** @param {number} count @param {(service: import('../clients/service.mjs').Service) => Promise<void>} use */
async function withMany(count, use) {
  if (values.only && !'pages through'.includes(values.only)) return;
  const directory = await directoryOf(count);
  try {
    await withService({ ...noKeys, DATABASE_URL: '', DATA_DIR: directory }, use);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
