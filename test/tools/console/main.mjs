/** `npm run console`: see the help below. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launchBrowser, watchedPage } from '../lib/browser.mjs';
import { removeDirectory, temporaryDirectory } from '../lib/directory.mjs';
import { startService } from '../lib/service.mjs';
import { startStripeApi } from '../lib/stripe-api.mjs';
import { messageOf, report, runTool } from '../lib/tool.mjs';
import { comesBack, countsNewSessions, forgetsRevokedKey, refreshes, showsNewStates } from './live.mjs';
import { fillDirectory } from './many.mjs';
import { deliverAll, hostileEvents, monthOfEvents, recordedEvents } from './material.mjs';
import { opensRowsByClick, returnsToTheList, worksByKeyboard } from './navigation.mjs';
import { entersKey, findsBySearch, isEmpty, pagesThroughMany, readsOnly, showsHostileText } from './use.mjs';
import { showsEachView, showsLoading } from './views.mjs';

/**
 * @typedef {import('playwright-core').Browser} Browser
 * @typedef {import('../lib/service.mjs').StartedService} Service
 * @typedef {import('./page.mjs').Use} Use
 * @typedef {ReturnType<typeof readOptions>} Options
 */

const help = `Usage: npm run console -- [options]

Uses /console in Chromium: every view with a key and without, hostile text, no sessions and 100,000, a service that goes
away and comes back, two widths, light and dark, each checked by axe-core.

  --only TEXT            only the checks with this text in their name
  --screenshots FOLDER   leave screenshots there

Exits with 1 when a check fails, with 77 when this machine has no Chromium.
`;

/** @param {string[]} args */
function readOptions(args) {
  const options = /** @type {const} */ ({ screenshots: { type: 'string' }, only: { type: 'string', default: '' } });
  return parseArgs({ args, options }).values;
}

const noKeys = { API_KEYS: '', API_READ_KEYS: '' };
const desktop = { viewport: { width: 1280, height: 860 } };

/** @param {Browser} browser @param {Options} options */
function makeCheck(browser, { screenshots, only }) {
  let failed = 0;

  /**
   * Runs one use of the console in a context of its own. The use fails when it throws, when the page logs an error, or when
   * the page asks another host.
   *
   * @param {string} name
   * @param {Service | undefined} service undefined for a use that starts its own
   * @param {Use} use @param {import('playwright-core').BrowserContextOptions} [reader]
   */
  async function check(name, service, use, reader = desktop) {
    if (!name.includes(only)) return;
    const context = await browser.newContext(reader);
    let expected = /^$/;
    /** @type {string[]} */
    let errors = [];
    /** @type {import('playwright-core').Page | undefined} */
    let page;
    /** @type {string[]} */
    const failures = [];
    try {
      await use({
        service: /** @type {Service} */ (service),
        expect: (text) => {
          expected = text;
        },
        async open(url) {
          ({ page, errors } = await watchedPage(context, new URL(url).origin, (text) => expected.test(text)));
          await page.goto(url);
          return page;
        },
      });
    } catch (error) {
      failures.push(messageOf(error));
    }
    failures.push(...errors);
    report(`console ${name}`, failures);
    if (failures.length > 0) {
      failed += 1;
      if (screenshots) await page?.screenshot({ path: join(screenshots, `failed-${name.replaceAll(' ', '-')}.png`) });
    }
    await context.close();
  }
  return { check, hasFailed: () => failed > 0 };
}

/** @param {Record<string, string>} settings @param {(service: Service) => Promise<void>} use */
async function withService(settings, use) {
  const service = await startService(settings);
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

/** @param {ReturnType<typeof makeCheck>['check']} check @param {Options} options */
async function checkMonth(check, { screenshots }) {
  const stripe = await startStripeApi({ keys: 'sk_test_of_the_tools,sk_live_of_the_tools' });
  await withService(stripe.settings, async (service) => {
    const events = monthOfEvents(160).reverse();
    await deliverAll(service, [...recordedEvents(), ...events]);
    await check('asks for the key', service, entersKey);
    await check('finds sessions by the search box', service, findsBySearch(events));
    await check('returns to the list where the reader left it', service, returnsToTheList);
    await check('opens a session from anywhere in its row', service, opensRowsByClick);
    await check('works by keyboard alone', service, worksByKeyboard);
    await check('shows everything but the raw object with a read-only key', service, readsOnly(events));
    await check('refreshes a session from Stripe', service, refreshes(stripe.sessions));
    await check('shows new states by itself', service, showsNewStates);
    await check('counts new sessions by itself', service, countsNewSessions);
    for (const width of [1280, 390]) {
      const reader = { viewport: { width, height: width === 390 ? 844 : 860 } };
      await check(`shows that it loads at ${width} pixels`, service, showsLoading(screenshots), reader);
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        const use = showsEachView(events, colorScheme, screenshots);
        const themed = { ...reader, colorScheme };
        await check(`is readable at ${width} pixels in the ${colorScheme} theme`, service, use, themed);
      }
    }
    await deliverAll(service, hostileEvents());
    await check('does not treat text as markup', service, showsHostileText);
  }).finally(stripe.stop);
}

await runTool(help, readOptions, async (options) => {
  const browser = await launchBrowser();
  const { check, hasFailed } = makeCheck(browser, options);
  try {
    await withService(noKeys, (service) => check('explains that there are no sessions', service, isEmpty));
    await checkMonth(check, options);
    await check('waits for the service', undefined, comesBack);
    await check('forgets a revoked key', undefined, forgetsRevokedKey);
    const many = 'pages through 100,000 sessions';
    if (many.includes(options.only)) {
      const data = temporaryDirectory();
      await fillDirectory(data, 100_000);
      await withService({ ...noKeys, DATA_DIR: data }, (service) => check(many, service, pagesThroughMany));
      removeDirectory(data);
    }
  } finally {
    await browser.close();
  }
  return !hasFailed();
});
