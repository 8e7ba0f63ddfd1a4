import { expect, test } from 'vitest';
import { fixtures, rawSession } from '../support/stripe.js';
import { manySessions } from '../support/stripe-api.js';
import { fullKey, startMirror } from './support.js';

const mirror = await startMirror();
const stripe = mirror.sdk();
const many = manySessions('paged', 250, { status: 'complete', payment_status: 'paid' });
await Promise.all(many.map((session) => mirror.put(session)));
const newestFirst = many.map(({ id }) => id).reverse();

test("a session equals Stripe's object, without line items and with client_secret null", async () => {
  const sent = rawSession({
    id: 'cs_test_whole',
    created: 1_800_000_000,
    metadata: { order: '6735', note: 'Grüße, 日本, 😀' },
    amount_total: 9_007_199_254_740_991,
  });
  await mirror.put({ ...sent, line_items: { object: 'list', data: [], has_more: false, url: '/' } });
  const { lastResponse, ...session } = await stripe.checkout.sessions.retrieve('cs_test_whole');
  expect(session).toEqual({ ...sent, client_secret: null });
  expect(lastResponse.headers).toMatchObject({
    'mirror-source': 'stored',
    'stripe-version': '2026-10-28.endive',
    'cache-control': 'private, no-cache',
  });
  expect(lastResponse.requestId).toMatch(/^[0-9a-f-]{36}$/);
});

test('auto-paging returns every session once, newest first', async () => {
  const ids: string[] = [];
  const created = { lte: Number(many.at(-1)?.created), gte: Number(many[0]?.created) };
  for await (const { id } of stripe.checkout.sessions.list({ limit: 100, created })) ids.push(id);
  expect(ids.filter((id) => id.startsWith('cs_test_paged'))).toEqual(newestFirst);
});

test('auto-paging backwards returns the sessions before one', async () => {
  const ids: string[] = [];
  const ending_before = newestFirst.at(-1) as string;
  for await (const { id } of stripe.checkout.sessions.list({ limit: 7, ending_before })) ids.push(id);
  expect(ids.filter((id) => id.startsWith('cs_test_paged'))).toEqual(newestFirst.slice(0, -1).reverse());
});

test('a page has ten sessions by default, and has_more tells if others follow', async () => {
  const page = await stripe.checkout.sessions.list();
  expect(page.data).toHaveLength(10);
  expect(page).toMatchObject({ object: 'list', url: '/v1/checkout/sessions', has_more: true });
  const last = await stripe.checkout.sessions.list({ starting_after: newestFirst[248] as string, limit: 1 });
  expect(last).toMatchObject({ has_more: false, data: [{ id: newestFirst[249], client_secret: null }] });
});

test('each filter finds its sessions', async () => {
  const fields = {
    customer: 'cus_filtered',
    customer_account: 'acct_1Buyer',
    customer_details: { email: 'guest@example.com' },
    payment_intent: 'pi_filtered',
    payment_link: 'plink_filtered',
    subscription: { id: 'sub_filtered', object: 'subscription' },
    status: 'expired',
    created: 1_700_000_000,
  };
  await mirror.put(rawSession({ id: 'cs_test_filtered', ...fields }));
  const found = async (query: object) =>
    (await stripe.checkout.sessions.list(query)).data.map(({ id }: { id: string }) => id);
  for (const query of [
    { customer: 'cus_filtered' },
    { customer_account: 'acct_1Buyer' },
    { customer_details: { email: 'guest@example.com' } },
    { payment_intent: 'pi_filtered' },
    { payment_link: 'plink_filtered' },
    { subscription: 'sub_filtered' },
    { status: 'expired' },
    { created: 1_700_000_000 },
    { created: { gt: 1_699_999_999, lt: 1_700_000_001 } },
    { customer: 'cus_filtered', status: 'expired', created: { gte: 1_700_000_000, lte: 1_700_000_000 } },
  ]) {
    expect([query, await found(query)]).toEqual([query, ['cs_test_filtered']]);
  }
  expect(await found({ customer: 'cus_filtered', status: 'open' })).toEqual([]);
  expect(await found({ customer: 'cus_other' })).toEqual([]);
});

test('a change through the API does not change the Stripe object', async () => {
  await mirror.put(rawSession({ id: 'cs_test_patched', customer: 'cus_stripe' }));
  await mirror.api
    .patch('/api/checkout-sessions/cs_test_patched')
    .set('authorization', `Bearer ${fullKey}`)
    .send({ customer: 'cus_local', livemode: true })
    .expect(200);
  expect((await stripe.checkout.sessions.list({ customer: 'cus_local' })).data).toEqual([]);
  const session = await mirror
    .sdk('sk_test_unused', {})
    .checkout.sessions.retrieve('cs_test_patched')
    .catch(() => null);
  expect(session).toBeNull();
  expect(await stripe.checkout.sessions.retrieve('cs_test_patched')).toMatchObject({ customer: 'cus_stripe' });
});

test('a session created only through the API is not found', async () => {
  await mirror.api
    .put('/api/checkout-sessions/cs_test_local')
    .set('authorization', `Bearer ${fullKey}`)
    .send({ mode: 'payment', submit_type: 'pay', billing_address_collection: 'auto', payment_method_types: ['card'] })
    .expect(201);
  await expect(stripe.checkout.sessions.retrieve('cs_test_local')).rejects.toMatchObject({ code: 'resource_missing' });
});

test('the Idempotency-Key of a request is returned, as Stripe does', async () => {
  const { lastResponse } = await stripe.checkout.sessions.retrieve(
    newestFirst[0] as string,
    {},
    { idempotencyKey: 'key-1' },
  );
  expect(lastResponse.idempotencyKey).toBe('key-1');
});

test.each(fixtures('sessions'))('the real session $name is returned as it was sent', async ({ name, object }) => {
  const { client_secret, line_items, ...sent } = object;
  const id = `cs_test_fixture_${name.replace(/\W/g, '_')}`;
  await mirror.put({ ...object, id } as Parameters<typeof mirror.put>[0]);
  const { lastResponse, ...session } = await stripe.checkout.sessions.retrieve(id);
  // The SDK turns decimal strings into objects. JSON turns them back.
  expect(JSON.parse(JSON.stringify(session))).toEqual({ ...sent, id, client_secret: null });
});
