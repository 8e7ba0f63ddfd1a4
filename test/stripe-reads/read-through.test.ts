import pino from 'pino';
import { expect, test } from 'vitest';
import { rawSession } from '../support/stripe.js';
import { startStripeApi, stripeKeys } from '../support/stripe-api.js';
import { fullKey, startMirror, thrownBy } from './support.js';

const stripeApi = await startStripeApi();
const mirror = await startMirror({
  environment: {
    ...stripeApi.environment,
    STRIPE_API_KEYS: `${stripeKeys.test},${stripeKeys.live}`,
    STRIPE_ACCOUNT_ID: 'acct_1Own',
  },
});
const { sessions } = mirror.sdk().checkout;
const paid = { status: 'complete', payment_status: 'paid' };
const items = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `li_${index}`,
    object: 'item',
    quantity: 1,
    amount_total: index,
  }));

const sourceOf = (session: object) =>
  (session as { lastResponse: { headers: Record<string, string> } }).lastResponse.headers['mirror-source'];

test('a stored open session is fetched from Stripe, and the newer state stored', async () => {
  await mirror.put(rawSession({ id: 'cs_test_opened' }));
  stripeApi.putSession(rawSession({ id: 'cs_test_opened', ...paid }));
  const session = await sessions.retrieve('cs_test_opened');
  expect(session).toMatchObject({ status: 'complete', payment_status: 'paid', client_secret: null });
  expect(sourceOf(session)).toBe('stripe');
  stripeApi.requests.length = 0;
  expect(sourceOf(await sessions.retrieve('cs_test_opened'))).toBe('stored');
  expect(stripeApi.requests).toEqual([]);
});

test('while Stripe fails, a stored session is answered as stale and an unknown one is 502', async () => {
  await mirror.put(rawSession({ id: 'cs_test_stale' }));
  stripeApi.fail(500, { times: 2 });
  const session = await sessions.retrieve('cs_test_stale');
  expect([session.status, sourceOf(session)]).toEqual(['open', 'stale']);
  stripeApi.fail(500, { times: 2 });
  expect(await thrownBy(sessions.retrieve('cs_test_unknown'))).toMatchObject({
    statusCode: 502,
    type: 'StripeAPIError',
  });
});

test('fifty concurrent reads of an unknown session make one call to Stripe, and its 404 is cached', async () => {
  stripeApi.requests.length = 0;
  const reads = Array.from({ length: 50 }, () => thrownBy(sessions.retrieve('cs_test_absent')));
  for (const error of await Promise.all(reads))
    expect(error).toMatchObject({ statusCode: 404, code: 'resource_missing' });
  await thrownBy(sessions.retrieve('cs_test_absent'));
  expect(stripeApi.requests).toHaveLength(1);
});

test('a stored open session that Stripe does not have is asked for once', async () => {
  await mirror.put(rawSession({ id: 'cs_test_only_here' }));
  stripeApi.requests.length = 0;
  for (let read = 0; read < 3; read += 1) {
    expect(sourceOf(await sessions.retrieve('cs_test_only_here'))).toBe('stored');
  }
  expect(stripeApi.requests).toHaveLength(1);
});

test('a session deleted here is 404 without a call to Stripe', async () => {
  const session = rawSession({ id: 'cs_test_deleted', ...paid });
  await mirror.put(session);
  stripeApi.putSession(session);
  await mirror.api
    .delete('/api/checkout-sessions/cs_test_deleted')
    .set('authorization', `Bearer ${fullKey}`)
    .expect(204);
  stripeApi.requests.length = 0;
  expect(await thrownBy(sessions.retrieve('cs_test_deleted'))).toMatchObject({ statusCode: 404 });
  expect(stripeApi.requests).toEqual([]);
});

test('missing line items are fetched from Stripe and paged', async () => {
  const session = rawSession({ id: 'cs_test_items', ...paid });
  await mirror.put(session);
  stripeApi.putSession(session, { lineItems: items(23) });
  const ids: string[] = [];
  for await (const { id } of sessions.listLineItems('cs_test_items', { limit: 5 })) ids.push(id);
  expect(ids).toEqual(items(23).map(({ id }) => id));
  const before = await sessions.listLineItems('cs_test_items', { limit: 5, ending_before: 'li_3' });
  expect(before).toMatchObject({ has_more: false, data: [{ id: 'li_0' }, { id: 'li_1' }, { id: 'li_2' }] });
  const expanded = await sessions.retrieve('cs_test_items', { expand: ['line_items'] });
  expect(expanded.line_items?.data).toHaveLength(23);
  expect(await sessions.retrieve('cs_test_items')).not.toHaveProperty('line_items');
});

test('line items of a session that completed just now are answered', { timeout: 20_000 }, async () => {
  const session = rawSession({ id: 'cs_test_just_completed', ...paid });
  stripeApi.putSession(session, { lineItems: items(2) });
  await mirror.put(session, { created: Math.floor(Date.now() / 1000) });
  const { line_items } = await sessions.retrieve('cs_test_just_completed', { expand: ['line_items'] });
  expect(line_items?.data).toHaveLength(2);
});

test('incomplete or null line items are fetched from Stripe', async () => {
  const parts = { object: 'list', url: '/v1/line_items', data: items(10), has_more: true };
  for (const [id, line_items] of Object.entries({ cs_test_parts: parts, cs_test_null: null })) {
    await mirror.put(rawSession({ id, customer: id, ...paid, line_items }));
    stripeApi.putSession(rawSession({ id, customer: id, ...paid }), { lineItems: items(12) });
  }
  expect((await sessions.listLineItems('cs_test_parts', { limit: 100 })).data).toHaveLength(12);
  const { data } = await sessions.list({ customer: 'cs_test_null', expand: ['data.line_items'] });
  expect(data[0]?.line_items?.data).toHaveLength(12);
});

test('a session in setup mode has no line items', async () => {
  await mirror.put(rawSession({ id: 'cs_test_setup', mode: 'setup', ...paid, line_items: null }));
  expect(await sessions.listLineItems('cs_test_setup')).toMatchObject({ data: [], has_more: false });
});

test('a list with line items fetches the missing ones', async () => {
  const session = rawSession({ id: 'cs_test_listed_items', customer: 'cus_items', ...paid });
  await mirror.put(session);
  stripeApi.putSession(session, { lineItems: items(2) });
  const { data } = await sessions.list({ customer: 'cus_items', expand: ['data.line_items'] });
  expect(data.map(({ line_items }) => line_items?.data.length)).toEqual([2]);
});

test('an unknown payment_intent is looked up in Stripe once with each key', async () => {
  stripeApi.putSession(rawSession({ id: 'cs_test_of_payment', payment_intent: 'pi_fresh', ...paid }));
  const { data } = await sessions.list({ payment_intent: 'pi_fresh' });
  expect(data.map(({ id }) => id)).toEqual(['cs_test_of_payment']);
  stripeApi.requests.length = 0;
  expect((await sessions.list({ payment_intent: 'pi_none' })).data).toEqual([]);
  const { length } = stripeApi.requests;
  expect((await sessions.list({ payment_intent: 'pi_none' })).data).toEqual([]);
  expect([length, stripeApi.requests.length]).toEqual([2, 2]);
});

test('a failed lookup of a payment_intent is logged and tried again', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const { sdk } = await startMirror({ environment: stripeApi.environment, database: mirror.database, logger });
  stripeApi.fail(500, { times: 2 });
  const read = () => sdk().checkout.sessions.list({ payment_intent: 'pi_after_failure' });
  expect((await read()).data).toEqual([]);
  expect(lines.join()).toContain('Stripe did not answer');
  expect(lines.join()).not.toMatch(/sk_test_of|rk_live_of/);
  stripeApi.putSession(rawSession({ id: 'cs_test_after_failure', payment_intent: 'pi_after_failure', ...paid }));
  expect((await read()).data).toHaveLength(1);
});

test("when Stripe refuses one key, the other mode's key still finds its session", async () => {
  const environment = { ...stripeApi.environment, STRIPE_API_KEYS: `sk_test_that_is_revoked,${stripeKeys.live}` };
  const { sdk } = await startMirror({ environment, database: mirror.database });
  const session = rawSession({ id: 'cs_live_of_payment', payment_intent: 'pi_live', livemode: true, ...paid });
  stripeApi.putSession(session);
  const { data } = await sdk().checkout.sessions.list({ payment_intent: 'pi_live' });
  expect(data.map(({ id }) => id)).toEqual(['cs_live_of_payment']);
});

test('a payment_intent whose session was deleted here is looked up once', async () => {
  const session = rawSession({ id: 'cs_test_hidden', payment_intent: 'pi_hidden', ...paid });
  await mirror.put(session);
  stripeApi.putSession(session);
  await mirror.api
    .delete('/api/checkout-sessions/cs_test_hidden')
    .set('authorization', `Bearer ${fullKey}`)
    .expect(204);
  stripeApi.requests.length = 0;
  for (let time = 0; time < 3; time += 1)
    expect((await sessions.list({ payment_intent: 'pi_hidden' })).data).toEqual([]);
  // One request for each of the two keys.
  expect(stripeApi.requests).toHaveLength(2);
});

test("keys of a mode and accounts never see each other's sessions", async () => {
  await mirror.put(rawSession({ id: 'cs_test_own', ...paid }), { account: 'acct_1Own' });
  await mirror.put(rawSession({ id: 'cs_test_connected', ...paid }), { account: 'acct_1Connected' });
  await mirror.put(rawSession({ id: 'cs_live_own', livemode: true, ...paid }), { livemode: true });
  const see = async (key: string, stripeAccount?: string) => {
    const sdk = mirror.sdk(key, stripeAccount ? { stripeAccount } : {});
    const wanted = ['cs_test_own', 'cs_test_connected', 'cs_live_own'];
    const retrieved: string[] = [];
    for (const id of wanted)
      await sdk.checkout.sessions.retrieve(id).then(
        () => retrieved.push(id),
        () => {},
      );
    const listed: string[] = [];
    for await (const { id } of sdk.checkout.sessions.list({ limit: 100 })) if (wanted.includes(id)) listed.push(id);
    expect(listed.sort()).toEqual([...retrieved].sort());
    return retrieved;
  };
  expect(await see(stripeKeys.test)).toEqual(['cs_test_own']);
  expect(await see(stripeKeys.live)).toEqual(['cs_live_own']);
  expect(await see(fullKey)).toEqual(['cs_test_own', 'cs_live_own']);
  expect(await see(fullKey, 'acct_1Connected')).toEqual(['cs_test_connected']);
  expect(await see(stripeKeys.live, 'acct_1Connected')).toEqual([]);
});

test('STRIPE_READ_THROUGH=missing never refreshes a stored session, and off never asks Stripe', async () => {
  const { database } = mirror;
  await mirror.put(rawSession({ id: 'cs_test_setting' }));
  stripeApi.putSession(rawSession({ id: 'cs_test_setting', ...paid }));
  stripeApi.putSession(rawSession({ id: 'cs_test_setting_new', ...paid }));
  for (const [setting, statusOfNew] of [
    ['missing', 'complete'],
    ['off', undefined],
  ] as const) {
    const environment = { ...stripeApi.environment, STRIPE_READ_THROUGH: setting };
    const { sdk } = await startMirror({ environment, database });
    expect((await sdk().checkout.sessions.retrieve('cs_test_setting')).status).toBe('open');
    const id = setting === 'off' ? 'cs_test_setting_other' : 'cs_test_setting_new';
    const found = await sdk()
      .checkout.sessions.retrieve(id)
      .catch(() => undefined);
    expect(found?.status).toBe(statusOfNew);
  }
});
