import { setTimeout } from 'node:timers/promises';
import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLineItems } from '../../src/stripe/line-items.js';
import { processDatabase } from '../support/database.js';
import { parseLog, startProcess } from '../support/process.js';
import { sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, signatureOf, webhookSecret } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';

const stripe = await startStripeApi();
const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, ...stripe.environment, STRIPE_FETCH_LINE_ITEMS: 'true' };
const { api, app, database } = await startService({ environment });
const ownDatabase = await processDatabase();

beforeEach(() => stripe.reset());

const complete = { status: 'complete', payment_status: 'paid' };
const items = [{ id: 'li_1', object: 'item', quantity: 2 }];
const silent = pino({ level: 'silent' });

let number = 0;
/** Puts a completed session with line items in the fake Stripe. */
function completed(fields: Record<string, unknown> = {}, lineItems = items) {
  number += 1;
  const session = rawSession({ id: `cs_test_items_${number}`, ...complete, ...fields });
  stripe.putSession(session, { lineItems });
  return session;
}

const asked = (id: string) => stripe.requests.filter((path) => path.includes(id)).length;
const itemsOf = async (id: string) => (await api.get(`${sessionsPath}/${id}`).expect(200)).body.display_items;
const soon = { timeout: 10_000, interval: 50 };

/** Makes a session's events look as if they arrived some seconds ago. */
async function age(id: string, seconds: number): Promise<void> {
  await database.query({
    text: 'UPDATE stripe_event SET received_at = now() - make_interval(secs => $2) WHERE session_id = $1',
    values: [id, seconds],
  });
}

/** Creates a line-item fetcher on the same database that records its calls. */
function fetcher({ fails = false } = {}) {
  const ids: string[] = [];
  const outcomes: string[] = [];
  const lineItems = createLineItems({
    database,
    log: silent,
    onTry: (outcome) => outcomes.push(outcome),
    async refresh(id) {
      ids.push(id);
      if (fails) throw new Error('Stripe failed');
      return { outcome: 'stale', session: id };
    },
  });
  return { ...lineItems, ids, outcomes };
}

describe('when a session completes', () => {
  test('its line items are fetched after the event is answered, and counted', async () => {
    const session = completed();
    let answered = false;
    stripe.before = async () => expect(answered).toBe(true);
    const event = rawEvent(session, { created: Math.floor(Date.now() / 1000) });
    await deliver(api, event).expect(200, { outcome: 'applied', session: session.id });
    answered = true;
    expect(await itemsOf(session.id)).toBeNull();
    await expect.poll(() => itemsOf(session.id), soon).toEqual({ '0': items[0] });
    expect(asked(session.id)).toBe(1);
    const { text } = await api.get('/metrics').expect(200);
    expect(text).toMatch(/^stripe_line_items_fetches_total\{outcome="applied"\} 1$/m);
  });

  test('a silent Stripe delays no delivery', async () => {
    stripe.before = () => setTimeout(2000);
    const sessions = Array.from({ length: 12 }, () => completed());
    const began = Date.now();
    for (const session of sessions) await deliver(api, rawEvent(session)).expect(200);
    await expect.poll(() => stripe.requests.length, soon).toBe(4);
    expect(Date.now() - began).toBeLessThan(8000);
    await expect.poll(() => itemsOf(sessions[11]?.id as string), { timeout: 20_000 }).toEqual({ '0': items[0] });
  });

  test('nothing is fetched for an open, expired or setup session, or one that came with its items', async () => {
    const others = [
      completed({ status: 'open', payment_status: 'unpaid' }),
      completed({ status: 'expired', payment_status: 'unpaid' }),
      completed({ mode: 'setup', payment_status: 'no_payment_required' }),
      completed({ line_items: { object: 'list', data: items, has_more: false } }),
    ];
    for (const session of others) await deliver(api, rawEvent(session)).expect(200);
    const known = completed();
    const event = rawEvent(known);
    await deliver(api, event).expect(200);
    await deliver(api, event).expect(200);
    await expect.poll(() => itemsOf(known.id), soon).toEqual({ '0': items[0] });
    expect(stripe.requests).toHaveLength(1);
  });

  test('nothing is fetched without STRIPE_FETCH_LINE_ITEMS', async () => {
    const { STRIPE_FETCH_LINE_ITEMS, ...without } = environment;
    const plain = await startService({ environment: without });
    expect(plain.app.lineItems).toBeUndefined();
    await deliver(plain.api, rawEvent(completed())).expect(200);
    await setTimeout(200);
    expect(stripe.requests).toEqual([]);
  });
});

describe('the schedule of line items', () => {
  test('retries after a failed fetch', async () => {
    const session = completed();
    stripe.fail(500, { times: 2 });
    await deliver(api, rawEvent(session)).expect(200);
    await expect.poll(() => asked(session.id), soon).toBe(2);
    expect(await itemsOf(session.id)).toBeNull();
    await age(session.id, 90);
    await app.lineItems?.pass();
    await expect.poll(() => itemsOf(session.id), soon).toEqual({ '0': items[0] });
  });

  test('fetches again for a session that had line items before it completed', async () => {
    const session = completed({ status: 'open', payment_status: 'unpaid' }, [
      { id: 'li_1', object: 'item', quantity: 1 },
    ]);
    await api.post(`${sessionsPath}/${session.id}/refresh`).expect(200);
    const paid = { ...session, ...complete };
    stripe.putSession(paid, { lineItems: items });
    stripe.fail(500, { times: 2 });
    await deliver(api, rawEvent(paid)).expect(200);
    await expect.poll(() => asked(session.id), soon).toBe(3);
    expect(await itemsOf(session.id)).toMatchObject({ '0': { quantity: 1 } });
    await age(session.id, 60.5);
    await app.lineItems?.pass();
    await expect.poll(() => itemsOf(session.id), soon).toEqual({ '0': items[0] });
  });

  test('fetches at set ages and finally gives up', async () => {
    const session = completed({}, []);
    const plain = await startService({ database, environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
    await deliver(plain.api, rawEvent(session)).expect(200);
    const one = fetcher({ fails: true });
    /** Returns how many fetches a pass makes for the session at an age. */
    const askedAt = async (seconds: number) => {
      await age(session.id, seconds);
      const before = one.ids.filter((id) => id === session.id).length;
      await one.pass();
      await setTimeout(10);
      return one.ids.filter((id) => id === session.id).length - before;
    };
    // The first pass fetches for every session that is not too old.
    expect(await askedAt(50_000)).toBe(1);
    expect(await askedAt(30)).toBe(0);
    expect(await askedAt(60.5)).toBe(1);
    expect(await askedAt(300)).toBe(0);
    expect(await askedAt(600.5)).toBe(1);
    expect(await askedAt(3600.5)).toBe(1);
    expect(await askedAt(10_000)).toBe(0);
    expect(await askedAt(72 * 3600 + 0.5)).toBe(1);
    expect(await askedAt(80 * 3600)).toBe(0);
    expect(one.outcomes.every((outcome) => outcome === 'failed')).toBe(true);
    one.stop();
    await age(session.id, 90 * 3600);
    const restarted = fetcher();
    await restarted.pass();
    expect(restarted.ids).not.toContain(session.id);
    restarted.stop();
  });

  test('does not fetch again when Stripe says that there are no items', async () => {
    const session = completed({}, []);
    await deliver(api, rawEvent(session)).expect(200);
    await expect.poll(() => itemsOf(session.id), soon).toEqual({});
    await age(session.id, 90);
    const one = fetcher();
    await one.pass();
    expect(one.ids).not.toContain(session.id);
    one.stop();
  });

  test('fetches nothing once stopped', async () => {
    const one = fetcher();
    one.stop();
    one.onMissingLineItems({ id: 'cs_test_stopped', second: 1 });
    await setTimeout(20);
    expect(one.ids).toEqual([]);
  });
});

test('after a restart the service fetches the line items it missed, and exits with 0 while Stripe is silent', {
  timeout: 90_000,
}, async () => {
  const session = completed();
  const payload = JSON.stringify(rawEvent(session));
  const all = { ...ownDatabase.environment, ...environment };
  const service = await startProcess(all);
  stripe.fail('silence');
  const answer = await fetch(`${service.url}/webhooks/stripe`, {
    method: 'POST',
    headers: { 'stripe-signature': signatureOf(payload) },
    body: payload,
  });
  expect(answer.status).toBe(200);
  await expect.poll(() => asked(session.id), soon).toBe(1);
  service.kill('SIGTERM');
  const { code, stdout } = await service.exited;
  expect(code).toBe(0);
  expect(parseLog(stdout).filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);

  await ownDatabase.use((mirror) =>
    mirror.query({ text: `UPDATE stripe_event SET received_at = now() - interval '2 minutes'`, values: [] }),
  );
  const again = await startProcess(all);
  const read = async () => (await fetch(`${again.url}${sessionsPath}/${session.id}`)).json();
  await expect.poll(read, soon).toMatchObject({ display_items: { '0': items[0] } });
  again.kill('SIGTERM');
  expect((await again.exited).code).toBe(0);
});
