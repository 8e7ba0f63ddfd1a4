/** Uses of the console that read. */
import { deepStrictEqual as equal, match, ok } from 'node:assert';
import { storage } from '../lib/readable.mjs';
import { expectAccessible } from './axe.mjs';
import { hostileText } from './material.mjs';
import { enterKey, hashOf, settled } from './page.mjs';
import { richSession } from './views.mjs';

/** @typedef {import('./page.mjs').Use} Use */

/** @type {Use} */
export async function isEmpty({ service, open }) {
  // The root redirects a browser to the console. A service without keys asks for none.
  const page = await open(`${service.url}/`);
  await page.waitForURL(`${service.url}/console/`);
  await page.getByRole('heading', { name: 'No sessions yet' }).waitFor();
  await expectAccessible(page);
  await page.getByRole('link', { name: 'Events' }).click();
  await page.getByRole('heading', { name: 'No events yet' }).waitFor();
  await expectAccessible(page);
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('heading', { name: 'No sessions in these days' }).waitFor();
  await expectAccessible(page);
}

/** @type {Use} */
export async function entersKey({ service, open, expect }) {
  expect(/401/);
  const page = await open(`${service.url}/console/#/events?outcome=applied`);
  await page.getByLabel('API key').fill('no-key-of-this-service');
  await page.keyboard.press('Enter');
  await page.getByText('The service does not know this key.').waitFor();
  await expectAccessible(page);
  await enterKey(page, service.key);
  // The page keeps its address. It keeps the key in this tab only.
  await page.locator('.events .row').first().waitFor();
  equal(hashOf(page), '#/events?outcome=applied');
  match(await page.evaluate(storage), /^\{\}\{"checkout-sessions-key":/);
  equal(await page.context().cookies(), []);
  await page.reload();
  await page.locator('.events .row').first().waitFor();
  const other = await page.context().newPage();
  await other.goto(`${service.url}/console/`);
  await other.getByLabel('API key').waitFor();
  await other.close();
  await page.getByRole('button', { name: 'Forget key' }).click();
  await page.getByLabel('API key').waitFor();
  equal(await page.evaluate(storage), '{}{}');
}

/**
 * Searches for each kind of text: the page explains the search, opens its address and finds the session.
 *
 * @param {import('./views.mjs').Event[]} events
 * @returns {Use}
 */
export const findsBySearch =
  (events) =>
  async ({ service, open }) => {
    const page = await open(`${service.url}/console/`);
    await enterKey(page, service.key);
    const session = richSession(events);
    /** @type {[text: string, explained: string, hash: string][]} */
    const searches = [
      [String(session.customer), 'Finds sessions by customer', `#/sessions?customer=${session.customer}`],
      [
        String(session.payment_intent),
        'Finds sessions by payment',
        `#/sessions?payment_intent=${session.payment_intent}`,
      ],
      [
        String(session.customer_email).toUpperCase(),
        'e-mail',
        `#/sessions?email=${String(session.customer_email).toUpperCase()}`,
      ],
      [
        session.client_reference_id,
        'client reference',
        `#/sessions?client_reference_id=${session.client_reference_id}`,
      ],
      [`order=${session.metadata.order}`, 'metadata “order”', `#/sessions?metadata[order]=${session.metadata.order}`],
      [session.id, 'Opens the session', `#/sessions/${session.id}`],
    ];
    for (const [text, explained, hash] of searches) {
      await page.getByRole('link', { name: 'Sessions', exact: true }).click();
      await page.getByRole('searchbox').fill(text);
      await page.locator('#search-hint', { hasText: explained }).waitFor();
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.hash !== '#/sessions');
      equal(hashOf(page), hash);
      await page.getByText(session.id).first().waitFor();
    }
    // By keyboard only: a filter, the next page and back. The address holds all of it.
    await page.getByRole('link', { name: 'Sessions', exact: true }).click();
    await page.getByLabel('State').selectOption('paid');
    await page.waitForURL((url) => url.hash.includes('state=paid'));
    await settled(page);
    equal(new Set(await page.locator('.sessions .badge').allTextContents()), new Set(['Paid']));
    const first = await page.locator('.row-link').first().textContent();
    await page.getByRole('link', { name: 'Older →' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: '← Newer' }).waitFor();
    match(hashOf(page), /state=paid&cursor=/);
    await page.reload();
    await page.getByRole('link', { name: '← Newer' }).click();
    await page.getByRole('link', { name: String(first) }).waitFor();
  };

/** @param {import('./views.mjs').Event[]} events @returns {Use} */
export const readsOnly =
  (events) =>
  async ({ service, open, expect }) => {
    expect(/403/);
    const page = await open(`${service.url}/console/#/sessions/${richSession(events).id}`);
    await enterKey(page, service.environment.READ_KEY);
    await page.locator('.timeline .applied').waitFor();
    await page.getByText('The customer has paid.').waitFor();
    await page.getByText(/^The last event, “Checkout completed”, arrived /).waitFor();
    await page.getByText("Stripe's object").click();
    await page.getByText('this key only reads sessions').waitFor();
    await page.getByRole('button', { name: 'Refresh from Stripe' }).click();
    await page.getByText('This key only reads: it may not ask Stripe.').waitFor();
    for (const view of ['Events', 'Overview']) {
      await page.getByRole('link', { name: view }).click();
      await settled(page);
      equal(await page.locator('.failed').count(), 0);
    }
  };

/** @type {Use} */
export async function showsHostileText({ service, open }) {
  const page = await open(`${service.url}/console/`);
  await enterKey(page, service.key);
  await page.locator('.sessions .row').first().waitFor();
  await page.getByText('IDR 99,999,999,999.99').waitFor();
  await expectAccessible(page);
  await page.getByRole('link', { name: 'cs_live_hostile' }).click();
  await page.locator('.timeline .applied').waitFor();
  for (const summary of await page.locator('.fold summary').all()) await summary.click();
  await page.locator('.raw pre').waitFor();
  ok((await page.getByText(hostileText).count()) >= 3);
  await expectAccessible(page);
  match(await page.title(), /Checkout Sessions$/);
  const links = await page.locator('main a').evaluateAll((all) => all.map((link) => String(link.getAttribute('href'))));
  equal(
    links.filter((link) => !/^(#\/|https:\/\/dashboard\.stripe\.com\/)/.test(link)),
    [],
  );
  equal(await page.locator('main img, main script, main b').count(), 0);
  // Hostile text in the address.
  await page.goto(`${service.url}/console/#/sessions?${new URLSearchParams({ client_reference_id: hostileText })}`);
  await page.getByRole('link', { name: 'cs_live_hostile' }).waitFor();
  for (const view of ['Events', 'Overview']) {
    await page.getByRole('link', { name: view }).click();
    await settled(page);
    await expectAccessible(page);
  }
}

/** @type {Use} */
export async function pagesThroughMany({ service, open }) {
  const began = Date.now();
  const page = await open(`${service.url}/console/`);
  await page.locator('.sessions .row').first().waitFor();
  ok(Date.now() - began < 5000, 'the first page took over five seconds');
  const seen = new Set();
  for (let pages = 0; pages < 8; pages += 1) {
    await settled(page);
    for (const id of await page.locator('.row-link').allTextContents()) seen.add(id);
    const url = page.url();
    await page.getByRole('link', { name: 'Older →' }).click();
    await page.waitForURL((next) => next.href !== url);
    await page.locator('.row-link').first().waitFor();
  }
  equal(seen.size, 8 * 25);
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.locator('.chart svg').first().waitFor();
  await expectAccessible(page);
  const counts = await page.locator('.tile dd:first-of-type').allTextContents();
  const total = counts.reduce((sum, text) => sum + Number(text.replaceAll(',', '')), 0);
  // On a busy machine, the count stops after a second with a notice.
  const isWhole = (await page.locator('.notice').count()) === 0;
  ok(total > (isWhole ? 98_000 : 3000), `${total} sessions are counted`);
  await page.getByRole('link', { name: 'Sessions', exact: true }).click();
  await page.getByRole('searchbox').fill('order=77777');
  await page.keyboard.press('Enter');
  await page.getByText('buyer77777@example.com').waitFor();
}
