/** Uses of the console during which a session or the service changes. */
import { deepStrictEqual as equal } from 'node:assert';
import { removeDirectory, temporaryDirectory } from '../lib/directory.mjs';
import { freePort } from '../lib/network.mjs';
import { storage } from '../lib/readable.mjs';
import { startService } from '../lib/service.mjs';
import { expectAccessible } from './axe.mjs';
import { deliverAll, eventOf } from './material.mjs';
import { enterKey } from './page.mjs';

/** @typedef {import('./page.mjs').Use} Use */

/** Returns a new open session. */
function openSession() {
  const created = Math.floor(Date.now() / 1000) - 60;
  const id = `cs_test_${Math.random().toString(36).slice(2)}`;
  return {
    ...{ id, object: 'checkout.session', livemode: false, mode: 'payment', created, expires_at: created + 86_400 },
    ...{
      status: 'open',
      payment_status: 'unpaid',
      amount_total: 1500,
      currency: 'jpy',
      payment_method_types: ['card'],
    },
  };
}

/** @param {Map<string, object>} atStripe @returns {Use} */
export const refreshes =
  (atStripe) =>
  async ({ service, open }) => {
    const session = openSession();
    await deliverAll(service, [eventOf(session)]);
    atStripe.set(session.id, { ...session, status: 'complete', payment_status: 'paid' });
    const page = await open(`${service.url}/console/#/sessions/${session.id}`);
    await enterKey(page, service.key);
    await page.locator('.summary .badge.open').waitFor();
    equal(await page.locator('.figure').textContent(), '¥1,500');
    await page.getByRole('button', { name: 'Refresh from Stripe' }).click();
    await page.locator('.summary .badge.paid').waitFor();
  };

/** @type {Use} */
export async function showsNewStates({ service, open, expect }) {
  expect(/404/);
  const session = openSession();
  await deliverAll(service, [eventOf(session)]);
  const page = await open(`${service.url}/console/#/sessions/${session.id}`);
  await enterKey(page, service.key);
  await page.locator('.summary .badge.open').waitFor();
  const paid = { ...session, status: 'complete', payment_status: 'paid' };
  const type = 'checkout.session.async_payment_succeeded';
  const created = Math.floor(Date.now() / 1000) + 5;
  await deliverAll(service, [eventOf(paid, { type, created })]);
  await page.locator('.summary .badge.paid').waitFor({ timeout: 60_000 });
  // The last event is the one that Stripe created last, not an older one that arrives later.
  await deliverAll(service, [eventOf(session, { created: created - 10 })]);
  await page.locator('.timeline .outcome-stale').waitFor({ timeout: 60_000 });
  await page.getByText(/^The last event, “Delayed payment succeeded”, arrived /).waitFor();
  const headers = { authorization: `Bearer ${service.key}` };
  await fetch(`${service.url}/api/checkout-sessions/${session.id}`, { method: 'DELETE', headers });
  await page.getByRole('heading', { name: 'There is no such session' }).waitFor({ timeout: 60_000 });
}

/** @type {Use} */
export async function countsNewSessions({ service, open }) {
  const page = await open(`${service.url}/console/#/overview`);
  await enterKey(page, service.key);
  const count = page.locator('h1 .count');
  const before = Number.parseInt(String(await count.textContent()), 10);
  // The second session comes sooner after the first than the page may count again.
  for (const more of [1, 2]) {
    await deliverAll(service, [eventOf(openSession())]);
    await count.filter({ hasText: `${before + more} sessions` }).waitFor({ timeout: 60_000 });
  }
}

/** @type {Use} */
export async function forgetsRevokedKey({ open, expect }) {
  expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|401|503/);
  const directory = temporaryDirectory();
  const settings = { PORT: String(await freePort()), DATA_DIR: directory };
  let service = await startService(settings);
  try {
    const page = await open(`${service.url}/console/`);
    await enterKey(page, service.key);
    await page.getByRole('heading', { name: 'No sessions yet' }).waitFor();
    await service.stop();
    service = await startService({ ...settings, API_KEYS: 'new-key-of-the-tools', API_READ_KEYS: '' });
    await page.getByText('the key is missing or no longer valid').waitFor({ timeout: 60_000 });
    equal(await page.evaluate(storage), '{}{}');
    await enterKey(page, 'new-key-of-the-tools');
    await page.getByRole('heading', { name: 'No sessions yet' }).waitFor();
  } finally {
    await service.stop();
    removeDirectory(directory);
  }
}

/** @type {Use} */
export async function comesBack({ open, expect }) {
  expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|503/);
  const directory = temporaryDirectory();
  const settings = {
    API_KEYS: '',
    API_READ_KEYS: '',
    PORT: String(await freePort()),
    DATA_DIR: directory,
  };
  let service = await startService(settings);
  try {
    await deliverAll(service, [eventOf(openSession())]);
    const page = await open(`${service.url}/console/`);
    await page.locator('.sessions .row').waitFor();
    await service.stop();
    // The page says so by itself, and keeps its rows.
    const notice = page.getByRole('heading', { name: 'The service does not answer' });
    await notice.waitFor();
    equal(await page.locator('.sessions .row').count(), 1);
    await expectAccessible(page);
    await page.getByLabel('State').selectOption('open');
    await page.locator('.failed.card').waitFor();
    await expectAccessible(page);
    service = await startService(settings);
    await page.locator('.sessions .row').waitFor({ timeout: 60_000 });
    equal(await notice.count(), 0);
  } finally {
    await service.stop();
    removeDirectory(directory);
  }
}
