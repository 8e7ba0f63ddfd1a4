import pino from 'pino';
import { describe, expect, test } from 'vitest';
import { contract, expectComponent, expectSession } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, fixtures, type RawSession, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';

const stripe = await startStripeApi();
const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, ...stripe.environment };
const { api, database } = await startService({ environment });

let number = 0;
function newId(): string {
  number += 1;
  return `cs_test_routes_${number}`;
}

async function deliverNew(fields: Record<string, unknown> = {}): Promise<string> {
  const id = newId();
  await deliver(api, rawEvent(rawSession({ id, ...fields }))).expect(200);
  return id;
}

describe('GET /payment', () => {
  test('returns whether the session is paid, and how much', async () => {
    const id = await deliverNew({ status: 'complete', payment_status: 'paid', amount_total: 9_007_199_254_740_991 });
    const { body, headers } = await api.get(`${sessionsPath}/${id}/payment`).expect(200);
    expectComponent('CheckoutSessionPayment', body);
    expect(body).toEqual({
      id,
      status: 'complete',
      payment_status: 'paid',
      amount_subtotal: 2000,
      amount_total: 9_007_199_254_740_991,
      currency: 'usd',
      expires_at: '2026-02-01T12:00:00Z',
      livemode: false,
      last_event_type: 'checkout.session.completed',
      last_event_at: '2026-01-31T12:03:20Z',
      payment_failed: false,
    });
    expect(headers.etag).toMatch(/^"\d+-\d+"$/);
  });

  test('returns null for a field of the wrong type', async () => {
    const id = await deliverNew({ amount_total: '12', currency: 5, expires_at: 1e300, status: null });
    const { body } = await api.get(`${sessionsPath}/${id}/payment`).expect(200);
    expectComponent('CheckoutSessionPayment', body);
    expect(body).toMatchObject({ amount_total: null, currency: null, expires_at: null, status: null });
  });

  test('include=payment adds the payment to a session and a list, and to no other answer', async () => {
    const customer = `cus_${newId()}`;
    const id = await deliverNew({ customer, status: 'complete', payment_status: 'paid' });
    const ours = sessionBody({ customer });
    await api.post(sessionsPath).send(ours).expect(201);

    const one = await api.get(`${sessionsPath}/${id}?include=payment`).expect(200);
    const { payment, ...session } = one.body;
    expectSession(session);
    expect(payment).toEqual((await api.get(`${sessionsPath}/${id}/payment`).expect(200)).body);

    const list = await api.get(`${sessionsPath}?customer=${customer}&ordering=id&include=payment`).expect(200);
    const payments = list.body.results.map((row: { id: string; payment: unknown }) => [row.id, row.payment]);
    expect(Object.fromEntries(payments)).toEqual({ [id]: payment, [ours.id]: null });
    expect((await api.get(`${sessionsPath}/${id}`).expect(200)).body).not.toHaveProperty('payment');
  });

  describe('for a delayed payment', () => {
    const [completed, succeeded, failed] = ['completed', 'async_payment_succeeded', 'async_payment_failed'].map(
      (name) => `checkout.session.${name}`,
    );
    const unpaid = { status: 'complete', payment_status: 'unpaid' };
    const paymentOf = async (id: string) => {
      const { body } = await api.get(`${sessionsPath}/${id}/payment`).expect(200);
      expectComponent('CheckoutSessionPayment', body);
      return body;
    };
    const send = (id: string, type: string | undefined, created: number, fields = unpaid) =>
      deliver(
        api,
        rawEvent(rawSession({ id, ...fields }), { id: `evt_${type}_${id}`, type: type as string, created }),
      ).expect(200);

    test('reports the failure when the last event says so, even if events of one second arrive reversed', async () => {
      for (const order of [
        [completed, failed],
        [failed, completed],
      ]) {
        const id = newId();
        for (const type of order) await send(id, type, 1_769_861_000);
        expect(await paymentOf(id)).toMatchObject({
          payment_status: 'unpaid',
          last_event_type: failed,
          last_event_at: '2026-01-31T12:03:20Z',
          payment_failed: true,
        });
      }
    });

    test('reports no failure while the payment is pending or once it is paid', async () => {
      const id = newId();
      await send(id, completed, 1_769_861_000);
      expect(await paymentOf(id)).toMatchObject({ last_event_type: completed, payment_failed: false });
      await send(id, succeeded, 1_769_861_060, { status: 'complete', payment_status: 'paid' });
      await send(id, failed, 1_769_861_030);
      expect(await paymentOf(id)).toMatchObject({
        last_event_type: succeeded,
        last_event_at: '2026-01-31T12:04:20Z',
        payment_failed: false,
      });
      stripe.reset();
      const known = newId();
      stripe.putSession(rawSession({ id: known, status: 'complete', payment_status: 'paid' }));
      await send(known, failed, 1_769_861_000);
      await api.post(`${sessionsPath}/${known}/refresh`).expect(200);
      expect(await paymentOf(known)).toMatchObject({ last_event_type: failed, payment_failed: false });
    });

    test('reports no last event for a session that came by refresh', async () => {
      stripe.reset();
      const id = newId();
      stripe.putSession(rawSession({ id, ...unpaid }));
      await api.post(`${sessionsPath}/${id}/refresh`).expect(200);
      expect(await paymentOf(id)).toMatchObject({ last_event_type: null, last_event_at: null, payment_failed: false });
    });

    test('answers 200 to If-None-Match, because an event can change it without a new ETag', async () => {
      const id = newId();
      const path = `${sessionsPath}/${id}?include=payment`;
      await send(id, completed, 1_769_861_000);
      const before = await api.get(path).expect(200);
      const tag = before.headers.etag as string;
      await send(id, failed, 1_769_861_060);
      for (const header of [tag, '*']) {
        const { body, headers } = await api.get(path).set('if-none-match', header).expect(200);
        expect([headers.etag, before.body.payment.payment_failed, body.payment]).toEqual([
          tag,
          false,
          {
            ...before.body.payment,
            last_event_type: failed,
            last_event_at: '2026-01-31T12:04:20Z',
            payment_failed: true,
          },
        ]);
      }
      await api.get(`${sessionsPath}/${id}`).set('if-none-match', tag).expect(304);
      await api.patch(`${sessionsPath}/${id}`).set('if-match', tag).send({ description: 'x' }).expect(200);
    });
  });

  test('GET /payment and /stripe-data of a session without a raw object are 404', async () => {
    const { id } = (await api.post(sessionsPath).send(sessionBody()).expect(201)).body;
    for (const part of ['payment', 'stripe-data']) {
      expectProblem(await api.get(`${sessionsPath}/${id}/${part}`), 404, 'stripe-data-not-found');
      expectProblem(await api.get(`${sessionsPath}/cs_test_nowhere/${part}`), 404, 'session-not-found');
    }
    expectProblem(await api.get(`${sessionsPath}/${id}?include=everything`), 400, 'invalid-request');
  });
});

describe('GET /stripe-data', () => {
  const sessions = fixtures('sessions');

  test('the fixtures hold enough sessions', () => {
    expect(sessions.length).toBeGreaterThan(5);
  });

  test.each(sessions)('returns $name as Stripe sent it, and its session is valid', async ({ name, object }) => {
    const { client_secret, ...raw }: RawSession = { ...object, object: 'checkout.session', id: `cs_fixture_${name}` };
    await deliver(api, rawEvent({ ...raw, client_secret })).expect(200, { outcome: 'applied', session: raw.id });
    const { body } = await api.get(`${sessionsPath}/${raw.id}/stripe-data`).expect(200);
    expect(body).toEqual(raw);
    expectSession((await api.get(`${sessionsPath}/${raw.id}`).expect(200)).body);
    expectComponent('CheckoutSessionPayment', (await api.get(`${sessionsPath}/${raw.id}/payment`).expect(200)).body);
  });

  test('needs a key with full access', async () => {
    const keys = { API_KEYS: 'full', API_READ_KEYS: 'reads', STRIPE_WEBHOOK_SECRETS: webhookSecret };
    const guarded = await startService({ environment: keys, database });
    const path = `${sessionsPath}/cs_test_1`;
    await deliver(guarded.api, rawEvent(rawSession({ id: 'cs_test_1' }))).expect(200);
    const get = (part: string, key: string) => guarded.api.get(`${path}${part}`).set('authorization', `Bearer ${key}`);
    await get('', 'reads').expect(200);
    await get('/payment', 'reads').expect(200);
    await get('/stripe-data', 'full').expect(200);
    expectProblem(await get('/stripe-data', 'reads'), 403, 'forbidden');
  });
});

describe('POST /refresh', () => {
  const refresh = (id: string, query = '') => api.post(`${sessionsPath}/${id}/refresh${query}`);

  test('fetches a session that no event brought, with all its line items', async () => {
    stripe.reset();
    const id = newId();
    const lineItems = Array.from({ length: 23 }, (_, index) => ({
      id: `li_${index}`,
      object: 'item',
      price: { unit_amount_decimal: '2000.5' },
    }));
    stripe.putSession(rawSession({ id, status: 'complete', payment_status: 'paid' }), { lineItems });
    const { body, headers } = await refresh(id).expect(200);
    expectSession(body);
    expect(headers.etag).toBeDefined();
    expect(Object.keys(body.display_items)).toHaveLength(23);
    expect(body.display_items['22']).toMatchObject({ id: 'li_22', price: { unit_amount_decimal: '2000.5' } });
    expect((await api.get(`${sessionsPath}?payment_status=paid&id=${id}`).expect(200)).body.results).toHaveLength(1);
  });

  test('leaves a newer state alone, and keeps the ETag when nothing changed', async () => {
    stripe.reset();
    const id = newId();
    stripe.putSession(rawSession({ id }));
    const line_items = { object: 'list', data: [] };
    await deliver(api, rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid', line_items }))).expect(
      200,
    );
    const before = await api.get(`${sessionsPath}/${id}`).expect(200);
    const after = await refresh(id).expect(200);
    expect(after.headers.etag).toBe(before.headers.etag);
    expect((await api.get(`${sessionsPath}/${id}/payment`).expect(200)).body.payment_status).toBe('paid');
  });

  test('adds line items to a newer stored event, because events lack them', async () => {
    stripe.reset();
    const id = newId();
    stripe.putSession(rawSession({ id, locale: 'fr' }), { lineItems: [{ id: 'li_1' }] });
    await deliver(api, rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }))).expect(200);
    const { body, headers } = await refresh(id).expect(200);
    expect(body).toMatchObject({ display_items: { '0': { id: 'li_1' } }, locale: '' });
    expect((await api.get(`${sessionsPath}/${id}/payment`).expect(200)).body.payment_status).toBe('paid');
    expect((await refresh(id).expect(200)).headers.etag).toBe(headers.etag);
  });

  test('shares Stripe calls between concurrent refreshes of one session', async () => {
    stripe.reset();
    const id = newId();
    stripe.putSession(rawSession({ id }));
    await Promise.all(Array.from({ length: 10 }, () => refresh(id).expect(200)));
    expect(stripe.requests.filter((path) => path.includes(id)).length).toBeLessThan(10);
  });

  test('asks Stripe for the known account, or the given one', async () => {
    stripe.reset();
    const id = newId();
    stripe.putSession(rawSession({ id }), { account: 'acct_other' });
    expectProblem(await refresh(id), 404, 'session-not-found');
    const { body } = await refresh(id, '?account=acct_other').expect(200);
    expect(body.djstripe_owner_account).toBe('acct_other');
    await refresh(id).expect(200);
    expectProblem(await refresh(id, '?account=nobody'), 400, 'invalid-request');
  });

  test('is 404 when Stripe answers 404, and changes nothing stored', async () => {
    stripe.reset();
    const id = await deliverNew();
    const before = await api.get(`${sessionsPath}/${id}`).expect(200);
    expectProblem(await refresh(id), 404, 'session-not-found');
    expect((await api.get(`${sessionsPath}/${id}`).expect(200)).headers.etag).toBe(before.headers.etag);
  });

  test('is 404 for a session deleted here, which stays deleted', async () => {
    stripe.reset();
    const id = await deliverNew();
    stripe.putSession(rawSession({ id }));
    await api.delete(`${sessionsPath}/${id}`).expect(204);
    expectProblem(await refresh(id), 404, 'session-not-found');
    await api.get(`${sessionsPath}/${id}`).expect(404);
  });

  test('is 502 when Stripe fails, and reveals nothing about the key', async () => {
    stripe.reset();
    const id = newId();
    stripe.putSession(rawSession({ id }));
    for (const failure of [401, 500] as const) {
      stripe.fail(failure, { times: 9 });
      const response = await refresh(id);
      expectProblem(response, 502, 'stripe-unavailable');
      expect(response.text).not.toMatch(/sk_|API Key/);
      stripe.reset();
      stripe.putSession(rawSession({ id }));
    }
  });

  test.each(['page 200', 'page 302', 'page 404', 'json 404', 'page 502'] as const)(
    'is 502 when a proxy answers %s instead of Stripe, and changes nothing stored',
    async (page) => {
      stripe.reset();
      const id = await deliverNew();
      const before = await api.get(`${sessionsPath}/${id}`).expect(200);
      stripe.putSession(rawSession({ id, customer: 'cus_1' }));
      stripe.fail(page, { times: 2 });
      expectProblem(await refresh(id), 502, 'stripe-unavailable');
      expect((await api.get(`${sessionsPath}/${id}`).expect(200)).headers.etag).toBe(before.headers.etag);
    },
  );

  test.each([
    ['another session', { id: 'cs_test_another' }],
    ['another object', { object: 'payment_intent' }],
  ])('is 502 and stores nothing when Stripe answers with %s', async (_, fields) => {
    stripe.reset();
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    const logged = await startService({ environment, logger, database });
    const id = newId();
    stripe.putSession({ ...rawSession({ id }), ...fields }, { at: id });
    expectProblem(await logged.api.post(`${sessionsPath}/${id}/refresh`), 502, 'stripe-unavailable');
    expect(lines.join()).toContain('another object instead of the session');
    for (const one of [id, 'cs_test_another']) await api.get(`${sessionsPath}/${one}`).expect(404);
  });

  test("is 503 without a Stripe key for the session's mode, and names the variable", async () => {
    stripe.reset();
    const keyless = await startService({ database });
    const problem = expectProblem(
      await keyless.api.post(`${sessionsPath}/cs_live_1/refresh`),
      503,
      'stripe-not-configured',
    );
    expect(problem.detail).toContain('live key in STRIPE_API_KEYS');
  });
});

describe('GET /api/stripe-events', () => {
  const list = (query: string) => api.get(`/api/stripe-events?${query}`).expect(200);

  test('shows whether an event arrived, and its outcome', async () => {
    const session = rawSession({ id: newId(), status: 'complete', payment_status: 'paid' });
    const event = rawEvent(session, { created: 1_769_870_000, account: 'acct_1' });
    const stale = rawEvent({ ...session, status: 'open', payment_status: 'unpaid' }, { created: 1_769_860_000 });
    await deliver(api, event).expect(200);
    await deliver(api, stale).expect(200);
    const { body } = await list(`session_id=${session.id}`);
    expectComponent('PaginatedStripeEventList', body);
    expect(body.results).toEqual([
      expect.objectContaining({ id: stale.id, outcome: 'stale', account: null }),
      {
        id: event.id,
        type: 'checkout.session.completed',
        account: 'acct_1',
        livemode: false,
        api_version: '2026-10-28.endive',
        created: '2026-01-31T14:33:20+00:00',
        received_at: expect.any(String),
        session_id: session.id,
        outcome: 'applied',
      },
    ]);
  });

  test('filters by each column and pages by cursors', async () => {
    const id = newId();
    for (let created = 1; created <= 5; created += 1) {
      await deliver(api, rawEvent(rawSession({ id }), { created })).expect(200);
    }
    const ofSession = `session_id=${id}`;
    const count = async (query: string) => (await list(`${ofSession}&count=exact&${query}`)).body.count;
    expect(await count('outcome=applied')).toBe(5);
    expect(await count('outcome=stale')).toBe(0);
    expect(await count('type=checkout.session.completed&livemode=false')).toBe(5);
    expect(await count('type__in=checkout.session.expired')).toBe(0);
    expect(await count('created__gt=1970-01-01T00:00:02Z')).toBe(3);
    expect(await count('received_at__gte=2020-01-01')).toBe(5);
    expect(await count('account__isnull=true')).toBe(5);

    const seen: string[] = [];
    for (let next = `/api/stripe-events?${ofSession}&limit=2`; next; ) {
      const { body } = await api.get(next).expect(200);
      seen.push(...body.results.map((row: { created: string }) => row.created.slice(17, 19)));
      next = body.next && new URL(body.next).pathname + new URL(body.next).search;
    }
    expect(seen).toEqual(['05', '04', '03', '02', '01']);
  });

  test('rejects an unknown filter or value, and suggests the nearest filter', async () => {
    const problem = expectProblem(await api.get('/api/stripe-events?session=1'), 400, 'invalid-request');
    expect(problem.errors[0].detail).toContain('session_id');
    expectProblem(await api.get('/api/stripe-events?outcome=lost'), 400, 'invalid-request');
    expectProblem(await api.get('/api/stripe-events?include=payment'), 400, 'invalid-request');
  });

  test("publishes its own parameters, and none of the session list's", () => {
    const names = contract.paths['/api/stripe-events'].get.parameters.map(({ name }: { name: string }) => name);
    expect(names).toContain('outcome__in');
    expect(names).not.toContain('metadata');
  });
});
