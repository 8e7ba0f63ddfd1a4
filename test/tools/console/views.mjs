/** The views of the console. */
import { ok } from 'node:assert';
import { join } from 'node:path';
import { expectAccessible } from './axe.mjs';
import { enterKey, settled } from './page.mjs';

/** @typedef {ReturnType<typeof import('./material.mjs').monthOfEvents>[number]} Event */

/** Returns a session with a customer, an e-mail address and a payment. @param {Event[]} events */
export function richSession(events) {
  const session = events
    .map(({ data }) => data.object)
    .filter(
      ({ currency, livemode, payment_status: paid, customer, customer_email: email }) =>
        currency === 'usd' && livemode && paid === 'paid' && customer && email,
    )
    .at(-1);
  if (!session) throw new Error('no event has such a session');
  return session;
}

/** Copies parts of a session. @param {import('playwright-core').Page} page @param {Event['data']['object']} session */
async function copies(page, { id, line_items: { data } }) {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const [item] = data;
  /** @type {[name: string, beginning: string][]} */
  const copied = [
    ['Copy the id', id],
    ['Copy the line items', `${item?.quantity} × ${item?.description}\t$${(item?.amount_total ?? 0) / 100}`],
    ['Copy the id of the event', 'evt_1Console'],
  ];
  for (const [name, beginning] of copied) {
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByText('Copied', { exact: true }).waitFor({ state: 'attached' });
    const clipboard = await page.evaluate('navigator.clipboard.readText()');
    ok(String(clipboard).startsWith(beginning), `${name}: ${clipboard}`);
    await page.getByText('Copied', { exact: true }).waitFor({ state: 'detached' });
  }
}

/**
 * Checks every view in one width and theme.
 *
 * @param {Event[]} events @param {string} theme @param {string | undefined} folder for screenshots
 * @returns {import('./page.mjs').Use}
 */
export const showsEachView =
  (events, theme, folder) =>
  async ({ service, open, expect }) => {
    expect(/404/);
    const page = await open(`${service.url}/console/`);
    const look = async (/** @type {string} */ name) => {
      await settled(page);
      await expectAccessible(page);
      if (!folder) return;
      const size = page.viewportSize()?.width;
      await page.screenshot({ path: join(folder, `${name}-${size}-${theme}.png`), fullPage: true });
    };
    const go = (/** @type {string} */ hash) => page.goto(`${service.url}/console/${hash}`);

    await look('key');
    await enterKey(page, service.key);
    await page.locator('.sessions .row').first().waitFor();
    await look('sessions');
    await go('#/sessions?state=expired&client_reference_id=none');
    await page.getByText('No session matches').waitFor();
    await look('nothing');
    await go(`#/sessions/${richSession(events).id}`);
    await page.locator('.timeline .applied').waitFor();
    await look('session');
    await copies(page, richSession(events));
    for (const summary of await page.locator('.fold summary').all()) await summary.click();
    await page.locator('.raw pre').waitFor();
    await look('session-unfolded');
    await go('#/sessions/cs_test_none');
    await page.getByRole('heading', { name: 'There is no such session' }).waitFor();
    await look('missing');
    await go('#/events');
    await page.locator('.events .row').first().waitFor();
    await look('events');
    await go('#/overview');
    await page.locator('.chart svg').first().waitFor();
    await look('overview');
    await page.getByRole('button', { name: 'Show as a table' }).first().click();
    await look('overview-table');
    ok(await page.locator('table.plain').first().isVisible());
  };

/**
 * Checks the outline of every view while the service takes its time, in one width.
 *
 * @param {string | undefined} folder for screenshots
 * @returns {import('./page.mjs').Use}
 */
export const showsLoading =
  (folder) =>
  async ({ service, open }) => {
    const page = await open(`${service.url}/console/`);
    await enterKey(page, service.key);
    await settled(page);
    // These requests get no answer: a page that is left aborts them.
    await page.route('**/api/**', () => {});
    const loading = [
      ['events', 'Loading events'],
      ['overview', 'Counting sessions'],
      ['sessions/cs_test_slow', 'Loading the session'],
      ['sessions?state=open', 'Loading sessions'],
    ];
    for (const [hash = '', label = ''] of loading) {
      await page.goto(`${service.url}/console/#/${hash}`);
      await page.getByRole('status').filter({ hasText: label }).waitFor();
      await expectAccessible(page);
      const name = `loading-${label.split(' ').at(-1)}-${page.viewportSize()?.width}.png`;
      if (folder) await page.screenshot({ path: join(folder, name) });
    }
  };
