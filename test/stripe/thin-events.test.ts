import { beforeEach, describe, expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { expectProblem, sessionsPath, startService } from '../support/service.js';
import { deliver, type RawSession, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';

const stripe = await startStripeApi();
const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, ...stripe.environment };
const { api, database } = await startService({ environment });

beforeEach(() => stripe.reset());

let number = 0;
function newId(): string {
  number += 1;
  return `cs_test_thin_${number}`;
}

const paid = { status: 'complete', payment_status: 'paid' };
const iso = (milliseconds: number) => new Date(milliseconds).toISOString();

/** Builds a thin event about a session, in the shape of Stripe's event destinations. */
function thinEvent(session: string, fields: Record<string, unknown> = {}) {
  number += 1;
  return {
    id: `evt_test_${number}`,
    object: 'v2.core.event',
    type: 'v1.checkout.session.completed',
    created: iso(Date.now() - 60_000),
    livemode: false,
    related_object: { id: session, type: 'checkout.session', url: `/v1/checkout/sessions/${session}` },
    ...fields,
  };
}

/** Puts a completed session in the fake Stripe and returns its id with a thin event about it. */
function completed(fields: Partial<RawSession> = {}, more: Parameters<typeof stripe.putSession>[1] = {}) {
  const id = newId();
  stripe.putSession(rawSession({ id, ...paid, ...fields }), more);
  return { id, event: thinEvent(id) };
}

const ledgerOf = async (id: string) => (await api.get(`/api/stripe-events?session_id=${id}`).expect(200)).body.results;

describe('a thin event', () => {
  test('stores its session with line items, and enters the ledger under its own id and time', async () => {
    const items = [{ id: 'li_1', object: 'item', quantity: 2 }];
    const { id, event } = completed({ customer: 'cus_1' }, { lineItems: items });
    await deliver(api, { ...event, created: '2026-01-31T12:00:00.250Z' }).expect(200, {
      outcome: 'applied',
      session: id,
    });
    const { body } = await api.get(`${sessionsPath}/${id}`).expect(200);
    expectSession(body);
    expect(body).toMatchObject({ id, customer: 'cus_1', display_items: { '0': items[0] } });
    expect(await ledgerOf(id)).toEqual([
      expect.objectContaining({
        id: event.id,
        type: 'checkout.session.completed',
        created: '2026-01-31T12:00:00+00:00',
        livemode: false,
        account: null,
        outcome: 'applied',
      }),
    ]);
  });

  test('delivered again is a duplicate and calls Stripe no second time', async () => {
    const { id, event } = completed();
    await deliver(api, event).expect(200);
    const { length } = stripe.requests;
    await deliver(api, event).expect(200, { outcome: 'duplicate', session: id });
    expect(stripe.requests).toHaveLength(length);
  });

  test('delivered ten times at once is applied once', async () => {
    const { id, event } = completed();
    const answers = await Promise.all(Array.from({ length: 10 }, () => deliver(api, event).expect(200)));
    const outcomes = answers.map(({ body }) => body.outcome).sort();
    expect(outcomes).toEqual(['applied', ...Array(9).fill('duplicate')]);
    expect(await ledgerOf(id)).toHaveLength(1);
  });

  test('after its snapshot event is a duplicate and calls Stripe not at all', async () => {
    const { id, event } = completed();
    const snapshot = rawEvent(rawSession({ id, ...paid }));
    await deliver(api, snapshot).expect(200);
    await deliver(api, { ...event, snapshot_event: snapshot.id }).expect(200, { outcome: 'duplicate', session: id });
    expect(stripe.requests).toEqual([]);
    expect(await ledgerOf(id)).toHaveLength(1);
  });

  test('before its snapshot event is applied, and the snapshot event is then stale', async () => {
    const { id, event } = completed({ metadata: { from: 'now' } });
    const snapshot = rawEvent(rawSession({ id, ...paid, metadata: { from: 'then' } }), { created: 1_769_861_000 });
    await deliver(api, { ...event, snapshot_event: snapshot.id }).expect(200);
    await deliver(api, snapshot).expect(200, { outcome: 'stale', session: id });
    expect((await api.get(`${sessionsPath}/${id}`).expect(200)).body.metadata).toEqual({ from: 'now' });
    expect(await ledgerOf(id)).toHaveLength(2);
  });

  test('does not share a Stripe call that began before its own change', async () => {
    const { id, event } = completed({ payment_status: 'unpaid' });
    let answers = 0;
    stripe.before = async () => {
      answers += 1;
      // The first call is still in flight when the change happens.
      if (answers > 1) return;
      await new Promise((resolve) => setTimeout(resolve, 300));
    };
    const first = deliver(api, event).then((response) => response);
    await expect.poll(() => answers).toBe(1);
    const later = { ...thinEvent(id), created: iso(Date.now()), type: 'v1.checkout.session.async_payment_succeeded' };
    stripe.putSession(rawSession({ id, ...paid }));
    await deliver(api, later).expect(200);
    await first;
    expect(stripe.requests).toHaveLength(2);
    const payment = await api.get(`${sessionsPath}/${id}/payment`).expect(200);
    expect(payment.body.payment_status).toBe('paid');
  });

  test('leaves a session deleted that was deleted here', async () => {
    const { id, event } = completed();
    await deliver(api, rawEvent(rawSession({ id }))).expect(200);
    await api.delete(`${sessionsPath}/${id}`).expect(204);
    await deliver(api, event).expect(200, { outcome: 'deleted', session: id });
    await api.get(`${sessionsPath}/${id}`).expect(404);
  });

  test('of another type, without a session, or about an unknown session is ignored', async () => {
    const { id } = completed();
    for (const event of [
      thinEvent(id, { type: 'v2.core.event_destination.ping' }),
      thinEvent(id, { type: 'v1.customer.created', related_object: { id: 'cus_1', type: 'customer' } }),
      thinEvent('x'.repeat(256)),
      thinEvent(id, { related_object: null }),
      thinEvent(id, { related_object: { id: 5 } }),
      thinEvent(id, { related_object: { id, type: 'customer' } }),
    ]) {
      await deliver(api, event).expect(200, { outcome: 'ignored' });
    }
    expect(stripe.requests).toEqual([]);
    await deliver(api, thinEvent('cs_test_nowhere')).expect(200, { outcome: 'ignored' });
    expect(stripe.requests).toHaveLength(1);
  });

  test('fetches the session for the account in its context', async () => {
    const { id, event } = completed({}, { account: 'acct_member' });
    await deliver(api, { ...event, context: 'acct_member' }).expect(200, { outcome: 'applied', session: id });
    expect(stripe.accounts).toEqual([{ account: 'acct_member', context: undefined }]);
    const { body } = await api.get(`${sessionsPath}/${id}`).expect(200);
    expect(body.djstripe_owner_account).toBe('acct_member');
    expect(await ledgerOf(id)).toEqual([expect.objectContaining({ account: 'acct_member' })]);
  });
});

describe('a thin event is answered with an error, so that Stripe retries it, when', () => {
  test.each([500, 'cut', 'page 404', 'json 404', 'page 302', 401] as const)('Stripe fails with %s', async (failure) => {
    const { id, event } = completed();
    stripe.fail(failure, { times: 9 });
    expectProblem(await deliver(api, event), 502, 'stripe-unavailable');
    expect(await ledgerOf(id)).toEqual([]);
    stripe.reset();
    stripe.putSession(rawSession({ id, ...paid }));
    await deliver(api, event).expect(200, { outcome: 'applied', session: id });
  });

  test('Stripe answers with another session, and neither session is stored', async () => {
    const { id, event } = completed();
    const other = newId();
    stripe.reset();
    stripe.putSession(rawSession({ id: other }), { at: id });
    expectProblem(await deliver(api, event), 502, 'stripe-unavailable');
    for (const one of [id, other]) await api.get(`${sessionsPath}/${one}`).expect(404);
  });

  test('no Stripe key is configured', async () => {
    const keyless = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret }, database });
    const problem = expectProblem(await deliver(keyless.api, thinEvent('cs_test_1')), 503, 'stripe-not-configured');
    expect(problem.detail).toContain('STRIPE_API_KEYS');
  });

  test('the ledger cannot be read', async () => {
    const failing = await startService({ environment });
    await failing.database.query({ text: 'ALTER TABLE stripe_event RENAME TO lost', values: [] });
    const { event } = completed();
    expectProblem(await deliver(failing.api, event), 500, 'internal');
    expect(stripe.requests).toEqual([]);
  });
});

test('a thin event of a mode that STRIPE_LIVEMODE excludes is ignored without a call to Stripe', async () => {
  const live = await startService({ environment: { ...environment, STRIPE_LIVEMODE: 'live' }, database });
  const { event } = completed();
  await deliver(live.api, event).expect(200, { outcome: 'ignored' });
  expect(stripe.requests).toEqual([]);
});

test('a forged thin event is refused before any call to Stripe', async () => {
  const { id, event } = completed();
  expectProblem(await deliver(api, event, 'whsec_other'), 400, 'invalid-signature');
  expect(stripe.requests).toEqual([]);
  const rows = await database.query({ text: 'SELECT id FROM checkout_session WHERE id = $1', values: [id] });
  expect(rows).toEqual([]);
});
