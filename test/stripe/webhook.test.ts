import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import pino from 'pino';
import { describe, expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { proofRuns } from '../support/runs.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import {
  deliver,
  deliverBytes,
  fixtures,
  type RawEvent,
  rawEvent,
  rawSession,
  signatureOf,
  webhookSecret,
} from '../support/stripe.js';

const environment = { STRIPE_WEBHOOK_SECRETS: `whsec_before_rotation, ${webhookSecret}` };
const { api, database } = await startService({ environment });

let number = 0;
function newId(): string {
  number += 1;
  return `cs_test_webhook_${number}`;
}

async function stored(id: string) {
  const [row] = await database.query<Record<string, unknown>>({
    text: `SELECT id, livemode, mode, submit_type, billing_address_collection, customer, payment_intent, status,
        payment_status, metadata::text, display_items::text, payment_method_types::text, stripe_data::text,
        stripe_progress, stripe_second::text, stripe_event_id, version
      FROM checkout_session WHERE id = $1`,
    values: [id],
  });
  return row;
}

async function outcomeOf(event: unknown): Promise<string> {
  const { body } = await deliver(api, event).expect(200);
  return body.outcome;
}

describe('an event', () => {
  test('creates its session with every field but client_secret', async () => {
    const id = newId();
    const session = rawSession({ id, customer: 'cus_1', metadata: { order: '1' } });
    const { body } = await deliver(api, rawEvent(session)).expect(200);
    expect(body).toEqual({ outcome: 'applied', session: id });

    const read = await api.get(`${sessionsPath}/${id}`).expect(200);
    expectSession(read.body);
    expect(read.body).toMatchObject({
      id,
      billing_address_collection: 'auto',
      submit_type: 'auto',
      mode: 'payment',
      livemode: false,
      created: '2026-01-31T12:00:00+00:00',
      customer: 'cus_1',
      metadata: { order: '1' },
      payment_method_types: { '0': 'card', '1': 'link' },
      cancel_url: '',
      success_url: 'https://example.com/success',
    });
    const row = await stored(id);
    const { client_secret, ...raw } = session;
    expect(JSON.parse(row?.stripe_data as string)).toEqual(raw);
    expect(row).toMatchObject({ status: 'open', payment_status: 'unpaid' });
  });

  test.each([null, 'test'])('is stored even when livemode is %s', async (livemode) => {
    const id = newId();
    expect(await outcomeOf(rawEvent(rawSession({ id, livemode })))).toBe('applied');
    const [row] = await database.query({
      text: `SELECT stripe_livemode, stripe_data -> 'livemode' AS sent FROM checkout_session WHERE id = $1`,
      values: [id],
    });
    expect(row).toEqual({ stripe_livemode: null, sent: livemode });
  });

  test('delivered again is a duplicate and changes nothing, ETag and djstripe_updated included', async () => {
    const event = rawEvent(rawSession({ id: newId() }));
    const path = `${sessionsPath}/${event.data.object.id}`;
    expect(await outcomeOf(event)).toBe('applied');
    const before = await api.get(path).expect(200);
    expect(await outcomeOf(event)).toBe('duplicate');
    const after = await api.get(path).expect(200);
    expect(after.headers.etag).toBe(before.headers.etag);
    expect(after.body).toEqual(before.body);
  });

  test('delivered 20 times at once is applied once', async () => {
    const event = rawEvent(rawSession({ id: newId() }));
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(event)));
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(19);
  });

  test('older than the stored state is stale', async () => {
    const id = newId();
    const paid = rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }), { created: 2000 });
    const opened = rawEvent(rawSession({ id }), { created: 1000 });
    expect(await outcomeOf(paid)).toBe('applied');
    const before = await stored(id);
    expect(await outcomeOf(opened)).toBe('stale');
    expect(await stored(id)).toEqual(before);
  });

  test('leaves a session deleted that was deleted here', async () => {
    const id = newId();
    await deliver(api, rawEvent(rawSession({ id }))).expect(200);
    await api.delete(`${sessionsPath}/${id}`).expect(204);
    const late = rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }));
    expect(await outcomeOf(late)).toBe('deleted');
    expect(await outcomeOf(late)).toBe('duplicate');
    await api.get(`${sessionsPath}/${id}`).expect(404);
  });

  test('leaves columns it does not carry, and API writes leave columns only Stripe sets', async () => {
    const id = newId();
    await api
      .post(sessionsPath)
      .send(sessionBody({ id, description: 'ours', display_items: { '0': 'ours' } }))
      .expect(201);
    await deliver(api, rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }))).expect(200);
    const { body } = await api.patch(`${sessionsPath}/${id}`).send({ customer: 'cus_ours' }).expect(200);
    expect(body).toMatchObject({ description: 'ours', display_items: { '0': 'ours' }, customer: 'cus_ours' });
    expect(await stored(id)).toMatchObject({ status: 'complete', payment_status: 'paid' });
  });

  test('takes no sequence number when its session exists', async () => {
    const [first, second, third] = [newId(), newId(), newId()];
    const create = async (id: string): Promise<number> => {
      await deliver(api, rawEvent(rawSession({ id }))).expect(200);
      const { body } = await api.get(`${sessionsPath}/${id}`).expect(200);
      return body.djstripe_id;
    };
    const before = await create(first);
    for (let created = 1; created <= 5; created += 1) {
      await deliver(api, rawEvent(rawSession({ id: first }), { created: 1_800_000_000 + created })).expect(200);
    }
    expect(await create(second)).toBe(before + 1);
    expect(await create(third)).toBe(before + 2);
  });

  test('of another type or without a valid session is ignored', async () => {
    for (const event of [
      rawEvent(rawSession({ id: newId() }), { type: 'customer.created' }),
      rawEvent({ id: 'cus_1', object: 'customer' }),
      rawEvent(rawSession({ id: 'x'.repeat(256) })),
    ]) {
      const { body } = await deliver(api, event).expect(200);
      expect(body).toEqual({ outcome: 'ignored' });
    }
  });

  test('with text PostgreSQL or the contract cannot hold is stored with replacements', async () => {
    const id = newId();
    const session = rawSession({
      id,
      metadata: { note: 'a\0b', half: '\ud800', spelled: String.raw`\u0000` },
      submit_type: 'subscribe',
      customer_email: `${'x'.repeat(300)}@example.com`,
    });
    expect(await outcomeOf(rawEvent(session))).toBe('applied');
    const { body } = await api.get(`${sessionsPath}/${id}`).expect(200);
    expectSession(body);
    expect(body).toMatchObject({
      submit_type: 'auto',
      customer_email: '',
      metadata: { note: 'a\uFFFDb', half: '\uFFFD', spelled: String.raw`\u0000` },
    });
    const raw = JSON.parse((await stored(id))?.stripe_data as string);
    expect(raw).toMatchObject({ submit_type: 'subscribe', customer_email: session.customer_email });
  });
});

describe('events in any order and repetition', () => {
  // Two events share a second; progress goes on from open in one and not in the other.
  const history = (id: string): RawEvent[] => {
    const at = (
      created: number,
      eventId: string,
      fields: Record<string, unknown>,
      type = 'checkout.session.completed',
    ) => rawEvent(rawSession({ id, ...fields }), { id: `${eventId}_${id}`, created, type });
    return [
      at(100, 'evt_a', { metadata: { step: 'open' } }),
      at(200, 'evt_c', { status: 'complete', metadata: { step: 'complete' }, customer: 'cus_1' }),
      at(
        200,
        'evt_b',
        { status: 'complete', metadata: { step: 'same second' } },
        'checkout.session.async_payment_failed',
      ),
      at(150, 'evt_d', { status: 'complete', payment_status: 'paid', metadata: { step: 'paid' } }),
    ];
  };

  test('end in the same row, delivered one by one or all at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([0, 1, 2, 3, 0, 1, 2, 3], { minLength: 8 }),
        fc.boolean(),
        async (order, atOnce) => {
          const id = newId();
          const events = history(id);
          const sends = order.map((index) => () => deliver(api, events[index]).expect(200));
          if (atOnce) await Promise.all(sends.map((send) => send()));
          else for (const send of sends) await send();
          expect(await stored(id)).toMatchObject({
            metadata: '{"step": "paid"}',
            customer: null,
            payment_status: 'paid',
            stripe_progress: 2,
            stripe_second: '150',
            stripe_event_id: `evt_d_${id}`,
          });
          const [ledger] = await database.query<{ count: number }>({
            text: 'SELECT count(*)::integer AS count FROM stripe_event WHERE session_id = $1',
            values: [id],
          });
          expect(ledger?.count).toBe(4);
        },
      ),
      { numRuns: proofRuns(30) },
    );
  });
});

describe('a recorded event', () => {
  const events = fixtures('events');

  test('exists in the fixtures', () => {
    expect(events.length).toBeGreaterThan(0);
  });

  test.each(events)('from $name is stored and its session reads back valid', async ({ name, object }) => {
    const event = structuredClone(object) as unknown as RawEvent;
    const id = `cs_fixture_${name.replace('.json', '')}`;
    event.id = `evt_${name}`;
    event.data.object.id = id;
    expect(await outcomeOf(event)).toBe('applied');
    expectSession((await api.get(`${sessionsPath}/${id}`).expect(200)).body);
    const { client_secret, ...raw } = event.data.object;
    expect(JSON.parse((await stored(id))?.stripe_data as string)).toEqual(raw);
  });
});

describe('signed bodies', () => {
  const event = () => rawEvent(rawSession({ id: newId() }));
  const nested = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const thin = { id: 'evt_1', object: 'v2.core.event', type: 'v1.checkout.session.completed' };

  test.each([
    ['an empty body', ''],
    ['text that is not JSON', 'no json'],
    ['null', 'null'],
    ['a number', '5'],
    ['an array', '[]'],
    ['an empty object', '{}'],
    ['an event without a type', '{"id":"evt_1"}'],
    ['an event without a time', '{"id":"evt_1","type":"checkout.session.completed"}'],
    ['an event with an account of another type', JSON.stringify({ ...event(), account: 5 })],
    ['an event with an id that PostgreSQL cannot hold', JSON.stringify({ ...event(), id: 'evt_\0' })],
    ['an event with an id that is too long', JSON.stringify({ ...event(), id: 'x'.repeat(256) })],
    ['deeply nested JSON', nested],
    ['a deeply nested event', `{"id":"evt_1","type":"checkout.session.expired","created":1,"data":${nested}}`],
    ['a thin event without a time', JSON.stringify(thin)],
    ['a thin event with a time in seconds', JSON.stringify({ ...thin, created: 1 })],
    [
      'a thin event with an id that PostgreSQL cannot hold',
      JSON.stringify({ ...thin, id: '\0', created: '2026-01-01T00:00:00Z' }),
    ],
    [
      'a thin event with a snapshot event that PostgreSQL cannot hold',
      JSON.stringify({ ...thin, created: '2026-01-01T00:00:00Z', snapshot_event: 'evt_\0' }),
    ],
    ['an empty envelope', '{"detail-type":"checkout.session.completed","detail":null}'],
    ['an envelope of something else', '{"specversion":"1.0","data":{"id":5}}'],
  ])('%s is ignored with 200', async (_, body) => {
    await deliverBytes(api, Buffer.from(body), signatureOf(body)).expect(200, { outcome: 'ignored' });
  });

  test.each([
    [
      'an Amazon EventBridge envelope',
      (inner: object) => ({ 'detail-type': 'x', source: 'aws.partner', detail: inner }),
    ],
    ['an Azure Event Grid envelope', (inner: object) => ({ specversion: '1.0', type: 'x', data: inner })],
  ])('%s is unwrapped', async (_, wrap) => {
    const inner = event();
    const session = inner.data.object.id;
    await deliver(api, wrap(inner)).expect(200, { outcome: 'applied', session });
    await deliver(api, inner).expect(200, { outcome: 'duplicate', session });
  });

  test('a body that is not an event is logged without its content, and counted', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const logged = await startService({ environment, logger, database });
    const secret = 'customer@example.com';
    for (const body of [`no ${secret}`, { email: secret }, { detail: { id: secret }, 'detail-type': secret }]) {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      await deliverBytes(logged.api, Buffer.from(text), signatureOf(text)).expect(200);
    }
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual([
      'not JSON',
      'not an event: id is required',
      'in an EventBridge envelope: not an event: type is required',
    ]);
    expect(lines.join()).not.toContain(secret);
    const { text } = await logged.api.get('/metrics').expect(200);
    expect(text).toMatch(/^stripe_webhook_events_total\{type="other",outcome="ignored"\} 3$/m);
    expect(text).toMatch(/^stripe_ignored_total 3$/m);
  });
});

describe('signatures', () => {
  const payload = JSON.stringify(rawEvent(rawSession({ id: 'cs_test_forged' })));
  const now = Math.floor(Date.now() / 1000);
  const post = (header: string | undefined, body = payload) => {
    const request = api.post('/webhooks/stripe').set('content-type', 'application/json');
    return (header === undefined ? request : request.set('stripe-signature', header)).send(body);
  };

  test.each([
    ['no signature', undefined],
    ['an empty signature', ''],
    ['a malformed signature', 'v1=abc'],
    ['the signature of another secret', signatureOf(payload, 'whsec_other')],
    ['an old signature', signatureOf(payload, webhookSecret, now - 400)],
    ['a signature from the future', signatureOf(payload, webhookSecret, now + 4000)],
    ['a signature of another scheme', signatureOf(payload).replace('v1=', 'v0=')],
    ['the signature of another body', signatureOf(`${payload} `)],
  ])('a delivery with %s is refused and stores nothing', async (_, header) => {
    expectProblem(await post(header), 400, 'invalid-signature');
    expect(await stored('cs_test_forged')).toBeUndefined();
  });

  test('a delivery compressed by a proxy is refused, and the answer says so', async () => {
    const response = await deliverBytes(api, gzipSync(payload), signatureOf(payload));
    expect(expectProblem(response, 400, 'invalid-signature').detail).toContain('gzip');
    expect(await stored('cs_test_forged')).toBeUndefined();
  });

  test('a delivery signed with the old secret is accepted during a rotation', async () => {
    await deliver(api, rawEvent(rawSession({ id: newId() })), 'whsec_before_rotation').expect(200);
  });
});

describe('with other configurations', async () => {
  const unset = await startService({ database });
  const liveOnly = await startService({
    environment: { ...environment, STRIPE_LIVEMODE: 'live', API_KEYS: 'key' },
    database,
  });

  test('without a webhook secret a delivery is 503, and the answer names the variable', async () => {
    const problem = expectProblem(
      await deliver(unset.api, rawEvent(rawSession({ id: 'cs_1' }))),
      503,
      'stripe-not-configured',
    );
    expect(problem.detail).toContain('STRIPE_WEBHOOK_SECRETS');
  });

  test('an event of a mode that STRIPE_LIVEMODE excludes is ignored, and no API key is needed', async () => {
    const test = await deliver(liveOnly.api, rawEvent(rawSession({ id: 'cs_test_1' }))).expect(200);
    expect(test.body).toEqual({ outcome: 'ignored' });
    const session = rawSession({ id: 'cs_live_1', livemode: true });
    const live = await deliver(liveOnly.api, rawEvent(session, { livemode: true })).expect(200);
    expect(live.body).toEqual({ outcome: 'applied', session: 'cs_live_1' });
  });

  test('a database failure is 500, so that Stripe retries', async () => {
    const failing = await startService({ environment });
    await failing.database.query({ text: 'DROP TABLE stripe_event CASCADE', values: [] });
    const response = await deliver(failing.api, rawEvent(rawSession({ id: 'cs_1' })));
    expectProblem(response, 500, 'internal');
    expect(response.text).not.toContain('stripe_event');
    const rows = await failing.database.query({ text: 'SELECT id FROM checkout_session', values: [] });
    expect(rows).toEqual([]);
  });
});
