import { expect, test } from 'vitest';
import { translate } from '../../src/stripe/translate.js';
import { expectComponent } from '../support/contract.js';
import { fixtures, rawSession } from '../support/stripe.js';

const origin = { second: 1000, eventId: 'evt_1', type: 'checkout.session.completed' };

const carriedBy = (fields: Record<string, unknown>) =>
  translate(rawSession({ id: 'cs_test_1', ...fields }), origin)?.state.carried;

/** Builds a session that lacks some fields, as older API versions send it. */
function without(...names: string[]) {
  const session: Record<string, unknown> = rawSession({ id: 'cs_test_1' });
  for (const name of names) delete session[name];
  return session;
}

test.each([
  [{ status: 'open', payment_status: 'unpaid' }, 0],
  [{ status: 'open', payment_status: 'no_payment_required' }, 0],
  [{ status: 'open', payment_status: 'paid' }, 0],
  [{ status: 'complete', payment_status: 'unpaid' }, 1],
  [{ status: 'complete', payment_status: 'paid' }, 2],
  [{ status: 'complete', payment_status: 'no_payment_required' }, 2],
  [{ status: 'expired', payment_status: 'unpaid' }, 2],
  [{ status: undefined, payment_status: 'paid' }, 2],
  [{ status: undefined, payment_status: 'no_payment_required' }, 2],
  [{ status: undefined, payment_status: 'unpaid' }, 1],
  [{ status: undefined, payment_status: undefined }, 1],
])('a session with %j has progress %i', (fields, progress) => {
  expect(translate(rawSession({ id: 'cs_test_1', ...fields }), origin)?.state.stamp).toEqual({
    progress,
    second: 1000,
    eventId: 'evt_1',
  });
});

test('a snapshot without a status has progress 0, or 2 when it is paid', () => {
  const progressOf = (fields: Record<string, unknown>) =>
    translate({ ...without('status'), ...fields }, { second: 1, eventId: '' })?.state.stamp.progress;
  expect(progressOf({ payment_status: 'unpaid' })).toBe(0);
  expect(progressOf({ payment_status: 'paid' })).toBe(2);
});

test('null and unknown enum values become the default, and unknown values are reported', () => {
  expect(carriedBy({ billing_address_collection: null, submit_type: null })).toMatchObject({
    billing_address_collection: 'auto',
    submit_type: 'auto',
  });
  const { state, projections } = translate(
    rawSession({ id: 'cs_test_1', submit_type: 'subscribe', billing_address_collection: 'sometimes' }),
    origin,
  ) as NonNullable<ReturnType<typeof translate>>;
  expect(state.carried).toMatchObject({ billing_address_collection: 'auto', submit_type: 'auto' });
  expect(JSON.parse(state.raw)).toMatchObject({ submit_type: 'subscribe', billing_address_collection: 'sometimes' });
  expect(projections).toEqual([
    { column: 'billing_address_collection', reason: 'unknown enum value' },
    { column: 'submit_type', reason: 'unknown enum value' },
  ]);
});

test.each([
  [{ subscription: 'sub_1', setup_intent: null }, 'subscription', 'subscription'],
  [{ subscription: null, setup_intent: 'seti_1' }, 'setup', 'setup'],
  [{ subscription: null, setup_intent: null }, 'payment', undefined],
])('with %j an unknown mode becomes %s, and a missing mode is carried as %s', (fields, mode, inferred) => {
  expect(carriedBy({ mode: 'of_tomorrow', ...fields })).toMatchObject({ mode });
  for (const old of [without('mode'), { ...without('mode'), mode: null }]) {
    const state = translate({ ...old, ...fields }, origin)?.state;
    expect(state?.carried.mode).toBe(inferred);
    expect(state?.defaults.mode).toBe('payment');
  }
});

test('a column the state does not carry stays absent', () => {
  const old = translate(without('created', 'mode', 'metadata', 'submit_type', 'success_url'), origin)?.state.carried;
  for (const name of ['created', 'mode', 'metadata', 'submit_type', 'success_url', 'description', 'display_items']) {
    expect(old).not.toHaveProperty(name);
  }
  expect(old).not.toHaveProperty('djstripe_owner_account');
  expect(translate(rawSession({ id: 'cs_test_1' }), { ...origin, account: 'acct_1' })?.state.carried).toMatchObject({
    djstripe_owner_account: 'acct_1',
  });
});

test('expanded objects become ids, arrays become maps by position, epoch seconds become date-times', () => {
  expect(
    carriedBy({
      customer: { id: 'cus_1', object: 'customer' },
      payment_intent: { id: 'pi_1' },
      subscription: { object: 'subscription' },
      payment_method_types: ['card', 'link'],
      line_items: { object: 'list', data: [{ id: 'li_1' }, { id: 'li_2' }] },
      created: 1_769_860_800,
      cancel_url: null,
    }),
  ).toMatchObject({
    customer: 'cus_1',
    payment_intent: 'pi_1',
    subscription: null,
    payment_method_types: { '0': 'card', '1': 'link' },
    display_items: { '0': { id: 'li_1' }, '1': { id: 'li_2' } },
    created: '2026-01-31T12:00:00.000Z',
    cancel_url: '',
  });
});

test('text that spells out an escape such as \\u0000 is kept as it is', () => {
  const metadata = { nul: String.raw`\u0000`, half: String.raw`\ud800` };
  const translation = translate(rawSession({ id: 'cs_test_1', metadata }), origin);
  expect(translation?.state.carried.metadata).toEqual(metadata);
  expect(JSON.parse(translation?.state.raw ?? '')).toMatchObject({ metadata });
  expect(translation?.projections).toEqual([]);
});

test('an over-long text becomes "" in the column and stays whole in the raw object', () => {
  const locale = 'x'.repeat(256);
  const translation = translate(rawSession({ id: 'cs_test_1', locale }), origin);
  expect(translation?.state.carried.locale).toBe('');
  expect(JSON.parse(translation?.state.raw ?? '')).toMatchObject({ locale });
  expect(translation?.projections).toEqual([{ column: 'locale', reason: 'too long' }]);
});

test.each([
  null,
  'text',
  [],
  {},
  { object: 'customer', id: 'cus_1' },
  { object: 'checkout.session' },
  { object: 'checkout.session', id: '' },
  { object: 'checkout.session', id: 'a\0b' },
  { object: 'checkout.session', id: '..' },
  { object: 'checkout.session', id: 'x'.repeat(256) },
])('%j is not a session that can be stored', (object) => {
  expect(translate(object, origin)).toBeUndefined();
});

test('every recorded session and event translates to a session that strict clients accept', () => {
  const events = fixtures('events').map(({ object }) => (object.data as { object: object }).object);
  const objects = [...events, ...fixtures('sessions').map(({ object }) => object)];
  expect(objects.length).toBeGreaterThan(10);
  for (const object of objects) {
    const state = translate({ ...object, object: 'checkout.session' }, origin)?.state;
    const readOnly = {
      djstripe_id: 1,
      djstripe_created: '2026-01-01T00:00:00Z',
      djstripe_updated: '2026-01-01T00:00:00Z',
    };
    expectComponent('DjStripeCheckoutSession', { ...state?.defaults, ...state?.carried, ...readOnly });
  }
});
