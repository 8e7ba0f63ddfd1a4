import { describe, expect, test } from 'vitest';
import { processDatabase } from '../support/database.js';
import { runWarmCommand } from '../support/process.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, type RawEvent, type RawSession, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';
import { ndjson, temporaryFile } from '../transfer/support.js';
import { describeChange, followLog } from './follower.js';

const stripe = await startStripeApi();
const { api, database } = await startService({
  environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret, ...stripe.environment },
});
const next = await followLog(database);

let number = 0;
function newId(): string {
  number += 1;
  return `cs_test_log_${String(number).padStart(4, '0')}`;
}

const paid = { status: 'complete', payment_status: 'paid' };
const unpaid = { status: 'complete', payment_status: 'unpaid' };
const free = { status: 'complete', payment_status: 'no_payment_required' };
const expired = { status: 'expired', payment_status: 'unpaid' };
const second = 1_769_861_000;

const put = (id: string, fields: object = {}, status?: number) =>
  api
    .put(`${sessionsPath}/${id}`)
    .send(sessionBody({ ...fields, id }))
    .expect(status ?? 200);
const send = (id: string, name: string, fields: Partial<RawSession>, more: Partial<RawEvent> = {}) =>
  deliver(api, rawEvent(rawSession({ id, ...fields }), { type: `checkout.session.${name}`, ...more })).expect(200);
const refresh = async (id: string, fields: Partial<RawSession>) => {
  stripe.putSession(rawSession({ id, ...fields }));
  await api.post(`${sessionsPath}/${id}/refresh`).expect(200);
};
const create = (id: string) => api.post(sessionsPath).send(sessionBody({ id })).expect(201);
const remove = (id: string) => api.delete(`${sessionsPath}/${id}`).expect(204);

type Act = (id: string) => Promise<unknown>;

/** Each HTTP path: setup, action, and the changes logged for the action. */
const paths: readonly [name: string, before: readonly Act[], act: Act, expected: readonly string[]][] = [
  ['POST', [], create, ['created by api after nothing']],
  ['POST of an id that exists', [create], (id) => api.post(sessionsPath).send(sessionBody({ id })).expect(409), []],
  ['PUT that creates', [], (id) => put(id, {}, 201), ['created by api after nothing']],
  ['PUT that replaces', [create], (id) => put(id, { locale: 'de' }), ['updated by api after null/null']],
  [
    'PATCH',
    [create],
    (id) => api.patch(`${sessionsPath}/${id}`).send({ locale: 'de' }).expect(200),
    ['updated by api after null/null'],
  ],
  ['an empty PATCH', [create], (id) => api.patch(`${sessionsPath}/${id}`).send({}).expect(200), []],
  [
    'PATCH with a stale If-Match',
    [create],
    (id) => api.patch(`${sessionsPath}/${id}`).set('if-match', '"0-0"').send({ locale: 'de' }).expect(412),
    [],
  ],
  [
    'PATCH after an event',
    [(id) => send(id, 'completed', paid)],
    (id) => api.patch(`${sessionsPath}/${id}`).send({ locale: 'de' }).expect(200),
    ['updated by api after complete/paid'],
  ],
  ['DELETE', [create], remove, ['deleted by api after null/null']],
  ['DELETE after an event', [(id) => send(id, 'completed', paid)], remove, ['deleted by api after complete/paid']],
  ['DELETE of an unknown id', [], (id) => api.delete(`${sessionsPath}/${id}`).expect(404), []],
  ['POST after DELETE', [create, remove], create, ['created by api after nothing']],
  ['PUT after DELETE', [create, remove], (id) => put(id, {}, 201), ['created by api after nothing']],
  ['a first event, paid', [], (id) => send(id, 'completed', paid), ['paid by event after null/null with completed']],
  [
    'a first event, without a payment',
    [],
    (id) => send(id, 'completed', free),
    ['paid by event after null/null with completed'],
  ],
  [
    'a first event, unpaid',
    [],
    (id) => send(id, 'completed', unpaid),
    ['completed by event after null/null with completed'],
  ],
  [
    'an event that pays a session created through the API',
    [create],
    (id) => send(id, 'completed', paid),
    ['paid by event after null/null with completed'],
  ],
  [
    'a delayed payment that succeeds',
    [(id) => send(id, 'completed', unpaid)],
    (id) => send(id, 'async_payment_succeeded', paid, { created: second + 60 }),
    ['paid by event after complete/unpaid with async_payment_succeeded'],
  ],
  [
    'a delayed payment that fails',
    [(id) => send(id, 'completed', unpaid)],
    (id) => send(id, 'async_payment_failed', unpaid, { created: second + 60 }),
    [
      'updated by event after complete/unpaid with async_payment_failed',
      'payment_failed by event after complete/unpaid with async_payment_failed',
    ],
  ],
  [
    'a delayed payment that fails after a refresh stored the unpaid state',
    [(id) => refresh(id, unpaid)],
    (id) => send(id, 'async_payment_failed', unpaid),
    ['payment_failed by event after complete/unpaid with async_payment_failed'],
  ],
  [
    'a session that expires',
    [(id) => refresh(id, {})],
    (id) => send(id, 'expired', expired, { created: Math.floor(Date.now() / 1000) + 5 }),
    ['expired by event after open/unpaid with expired'],
  ],
  [
    'an old version without a status, paid',
    [],
    (id) => send(id, 'completed', { status: undefined, payment_status: 'paid' }, { api_version: '2020-08-27' }),
    ['paid by event after null/null with completed'],
  ],
  [
    'an old version without a status, unpaid',
    [],
    (id) => send(id, 'completed', { status: undefined, payment_status: 'unpaid' }, { api_version: '2020-08-27' }),
    ['completed by event after null/null with completed'],
  ],
  [
    'an event with new data after a refresh stored the paid state',
    [(id) => refresh(id, paid)],
    (id) => send(id, 'completed', { ...paid, locale: 'de' }, { created: Math.floor(Date.now() / 1000) + 5 }),
    ['updated by event after complete/paid with completed'],
  ],
  [
    'an event with the state a refresh already stored',
    [(id) => refresh(id, paid)],
    (id) => send(id, 'completed', paid, { created: Math.floor(Date.now() / 1000) + 5 }),
    ['updated by event after complete/paid with completed'],
  ],
  [
    'an older event',
    [(id) => send(id, 'async_payment_succeeded', paid, { created: second + 60 })],
    (id) => send(id, 'completed', unpaid),
    [],
  ],
  [
    'an older event that carries a field the newer state lacks',
    [(id) => send(id, 'async_payment_succeeded', { ...paid, created: undefined as never }, { created: second + 60 })],
    (id) => send(id, 'completed', unpaid),
    ['updated by event after complete/paid with completed'],
  ],
  [
    'an event that is repeated',
    [(id) => send(id, 'completed', paid, { id: `evt_${id}` })],
    (id) => send(id, 'completed', paid, { id: `evt_${id}` }),
    [],
  ],
  ['an event of a session that was deleted', [create, remove], (id) => send(id, 'completed', paid), []],
  ['a refresh of an unknown session', [], (id) => refresh(id, {}), ['created by snapshot after nothing']],
  ['a refresh that finds a payment', [create], (id) => refresh(id, paid), ['paid by snapshot after null/null']],
  [
    'a refresh after an event',
    [(id) => send(id, 'completed', unpaid)],
    (id) => refresh(id, paid),
    ['paid by snapshot after complete/unpaid'],
  ],
  [
    'a second refresh that changes something',
    [(id) => refresh(id, {})],
    (id) => refresh(id, { metadata: { order: '1' } }),
    ['updated by snapshot after open/unpaid'],
  ],
  ['a refresh that changes nothing', [(id) => refresh(id, {})], (id) => refresh(id, {}), []],
];

describe('over HTTP the change log records', () => {
  test.each(paths)('%s', async (_name, before, act, expected) => {
    const id = newId();
    for (const one of before) await one(id);
    await next();
    await act(id);
    const changes = await next();
    expect(changes.map(describeChange)).toEqual(expected);
    for (const { session_id, type, session } of changes) {
      expect(session_id).toBe(id);
      expect(session?.id ?? null).toBe(type === 'deleted' ? null : id);
    }
  });

  test('a manual UPDATE of many rows, and no change that is rolled back', async () => {
    const ids = [newId(), newId(), newId()];
    for (const id of ids) await create(id);
    await next();
    const text = 'UPDATE checkout_session SET version = version + 1 WHERE id = ANY($1)';
    await database.query({ text, values: [ids] });
    await database
      .transaction(async (query) => {
        await query({ text, values: [ids] });
        throw new Error('no');
      })
      .catch(() => {});
    await database.query({ text: 'DELETE FROM checkout_session WHERE id = $1', values: [ids[0]] });
    const changes = await next();
    expect(changes.map(({ type, session_id }) => `${type} ${session_id}`).sort()).toEqual(
      [...ids.map((id) => `updated ${id}`), `deleted ${ids[0]}`].sort(),
    );
    expect(changes.at(-1)?.type).toBe('deleted');
  });

  test('a manual change of an id as a deletion and a creation', async () => {
    const [old, renamed] = [newId(), newId()];
    await create(old);
    await next();
    const text = 'UPDATE checkout_session SET id = $2 WHERE id = $1';
    await database.query({ text, values: [old, renamed] });
    const changes = await next();
    expect(changes.map(({ type, session_id }) => `${type} ${session_id}`).sort()).toEqual(
      [`created ${renamed}`, `deleted ${old}`].sort(),
    );
  });

  test('nothing, and holds no reader up, where a statement changes nothing', async () => {
    const id = newId();
    await create(id);
    await next();
    const statements = [
      'UPDATE checkout_session SET djstripe_updated = now() WHERE id = $1',
      'UPDATE checkout_session SET version = version + 1 WHERE id = $1 AND false',
      'DELETE FROM checkout_session WHERE id = $1 AND false',
      'INSERT INTO checkout_session (id) SELECT id FROM checkout_session WHERE id = $1 AND false',
    ];
    const locks = await database.transaction(async (query) => {
      for (const text of statements) await query({ text, values: [id] });
      return query({ text: `SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`, values: [] });
    });
    expect(locks).toEqual([]);
    expect(await next()).toEqual([]);
  });

  test('no data of a deleted person', async () => {
    const id = newId();
    const from = await followLog(database);
    await send(id, 'completed', { ...paid, customer_email: 'jenny@example.com' });
    await remove(id);
    const changes = await from();
    expect(changes.map(({ type }) => type)).toEqual(['paid', 'deleted']);
    expect(JSON.stringify(changes)).not.toContain('jenny');
  });
});

describe('on the command line the change log records', async () => {
  const commands = await processDatabase();
  const environment = { ...commands.environment, ...stripe.environment };
  const run = async (command: string, ...args: string[]) => {
    const { code, stderr } = await runWarmCommand(command, args, environment);
    expect(code, stderr).toBe(0);
  };
  const importing = async (values: readonly object[], ...args: string[]) =>
    run('import', ...args, await temporaryFile('lines.ndjson', ndjson(values)));
  const logged = () =>
    commands.use(async (own) => {
      const text = 'SELECT type, source, event_id IS NOT NULL AS "hasEvent" FROM checkout_session_change ORDER BY seq';
      const rows = await own.query<{ type: string; source: string; hasEvent: boolean }>({ text, values: [] });
      return rows.map(({ type, source, hasEvent }) => `${type} by ${source}${hasEvent ? ' with an event' : ''}`);
    });
  let before = 0;
  const newly = async () => {
    const all = await logged();
    const since = all.slice(before);
    before = all.length;
    return since;
  };
  const kept = { djstripe_id: 77, djstripe_updated: '2026-01-31T12:00:00Z' };

  /** These steps run in order on one database. */
  const steps: readonly [name: string, act: () => Promise<unknown>, expected: readonly string[]][] = [
    [
      'a backfill',
      async () => {
        stripe.reset();
        stripe.putSession(rawSession({ id: 'cs_test_c_1', ...paid }));
        stripe.putSession(rawSession({ id: 'cs_test_c_2', created: 1_769_860_700 }));
        await run('backfill');
      },
      ['paid by snapshot', 'created by snapshot'],
    ],
    ['a backfill that finds nothing new', () => run('backfill'), []],
    [
      'a catch-up',
      async () => {
        stripe.putEvent(
          rawEvent(rawSession({ id: 'cs_test_c_2', ...unpaid }), { created: Math.floor(Date.now() / 1000) }),
        );
        await run('catch-up');
      },
      ['completed by event with an event'],
    ],
    ['a catch-up that finds nothing new', () => run('catch-up'), []],
    [
      'an import of rows, of Stripe objects and of events',
      () =>
        importing([
          sessionBody({ id: 'cs_test_c_3', ...kept }),
          rawSession({ id: 'cs_test_c_4', ...paid }),
          rawEvent(rawSession({ id: 'cs_test_c_5', ...unpaid }), { id: 'evt_imported' }),
        ]),
      ['created by import', 'paid by import', 'completed by import with an event'],
    ],
    [
      'the same import again',
      () => importing([sessionBody({ id: 'cs_test_c_3', ...kept }), rawSession({ id: 'cs_test_c_4', ...paid })]),
      [],
    ],
    [
      'an import of a tombstone',
      () =>
        importing([
          { kind: 'tombstone', id: 'cs_test_c_3', deleted_at: '2026-11-01T00:00:00Z' },
          { kind: 'tombstone', id: 'cs_test_c_unknown', deleted_at: '2026-11-01T00:00:00Z' },
        ]),
      ['deleted by import'],
    ],
    [
      'an import that restores deleted sessions',
      () =>
        importing(
          [sessionBody({ id: 'cs_test_c_3', ...kept }), rawSession({ id: 'cs_test_c_unknown', ...paid })],
          '--restore',
        ),
      ['created by import', 'paid by import'],
    ],
    [
      'an erasure',
      async () => {
        await importing([rawSession({ id: 'cs_test_c_6', customer: 'cus_jenny' })]);
        await run('erase', '--customer', 'cus_jenny');
      },
      ['created by import', 'deleted by api'],
    ],
  ];

  test.each(steps)('%s', async (_name, act, expected) => {
    await act();
    expect(await newly()).toEqual(expected);
  });
});
