import { expect, test } from 'vitest';
import type { Statement } from '../../src/database/engine/database.js';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { columns } from '../../src/model/session.js';
import { sessionList } from '../../src/model/session-list.js';
import { parseSession } from '../../src/model/session-request.js';
import type { SessionState } from '../../src/model/stripe.js';
import { onPostgres, testDatabase } from '../support/database.js';
import { sessionBody } from '../support/service.js';

const database = await testDatabase();

/** Runs each store operation and returns its statements as the database receives them. */
async function statements(): Promise<Statement[]> {
  const seen: Statement[] = [];
  const query = async <Row>(statement: Statement): Promise<Row[]> => {
    seen.push(statement);
    return database.query<Row>(statement);
  };
  const sessions = sessionStore({ ...database, query });
  const { value: session } = parseSession(sessionBody()) as { value: Parameters<typeof sessions.create>[0] };
  const column = columns.find(({ name }) => name === 'customer') as (typeof columns)[number];
  const noPreconditions = { match: undefined, noneMatch: undefined };
  const state: SessionState = {
    ...{ id: 'cs_test_kept', raw: '{}', carried: {}, defaults: { ...session, id: 'cs_test_kept' } },
    ...{ status: null, paymentStatus: null, apiVersion: null },
    stamp: { progress: 0, second: 1, eventId: 'evt_1' },
  };
  const event = { id: 'evt_1', type: 'checkout.session.expired', account: null, livemode: null, apiVersion: null };
  await sessions.find('cs_test_none');
  await Promise.all(['cs_test_1', 'cs_test_2', 'cs_test_3'].map((id) => sessions.find(id)));
  await sessions.find('cs_test_none', 'payment');
  await sessions.payment('cs_test_none');
  const mirror = mirrorStore({ ...database, query });
  const changes = [{ column, value: 'cus_1', merge: false }];
  // First one input, then three at once: the first of these runs alone, the other two as a batch statement.
  const writes: ((id: string) => Promise<unknown>)[] = [
    (id) => sessions.create({ ...session, id }),
    (id) => sessions.replace({ ...session, id }, noPreconditions),
    (id) => sessions.patch(id, changes, noPreconditions),
    (id) => mirror.apply({ ...state, id, defaults: { ...session, id } }, { ...event, created: 1 }),
  ];
  for (const write of writes) {
    await write('cs_test_kept');
    await Promise.all(['cs_test_kept_1', 'cs_test_kept_2', 'cs_test_kept_3'].map(write));
  }
  await sessions.remove('cs_test_kept', noPreconditions);
  // The mirror asks once whether Citus distributes the sessions.
  return seen.filter(({ text }) => !text.includes('pg_dist_partition'));
}

test('generic plans made on empty tables find every row by primary key', async () => {
  const seen = await statements();
  expect([...new Set(seen.map(({ name }) => name))]).toEqual([
    ...['find-one', 'find', 'find-payment', 'payment'],
    ...['create', 'replace', 'patch', 'apply'].flatMap((name) => [`${name}-one`, name]),
    'remove',
  ]);
  // Only PostgreSQL caches plans.
  if (!onPostgres) return;
  await database.query({ text: 'TRUNCATE checkout_session, stripe_event', values: [] });
  for (const { text, values } of seen) {
    const lines = await database.transaction(async (query) => {
      await query({ text: 'SET LOCAL plan_cache_mode = force_generic_plan', values: [] });
      await query({ text: `PREPARE kept AS ${text}`, values: [] });
      const plan = await query<{ 'QUERY PLAN': string }>({
        text: `EXPLAIN EXECUTE kept (${values.map(() => 'NULL').join()})`,
        values: [],
      });
      await query({ text: 'DEALLOCATE kept', values: [] });
      return plan.map((row) => row['QUERY PLAN']);
    });
    // A bitmap index scan of the primary key is fine too: a session may have several events. Its heap scan names no
    // index.
    const scans = lines.filter(
      (line) => /Scan.* on (checkout_session|stripe_event)/.test(line) && !line.includes('Bitmap Heap Scan'),
    );
    expect(scans).not.toEqual([]);
    for (const scan of scans) expect(scan).toMatch(/Index (Only )?Scan using \w+_pkey|Bitmap Index Scan on \w+_pkey/);
  }
});

test('a client that asks for many list shapes does not push those in use out of the plan cache', async () => {
  let names: (string | undefined)[] = [];
  const query: typeof database.query = (statement) => {
    names.push(statement.name);
    return database.query(statement);
  };
  const sessions = sessionStore({ ...database, query });
  const list = (parameters: Record<string, string>) => {
    const parsed = sessionList.parse(parameters);
    if (parsed.faults) throw new Error(JSON.stringify(parsed.faults));
    return sessions.list(parsed.value);
  };
  const often = async (parameters: Record<string, string>) => {
    for (let use = 0; use < 5; use += 1) await list(parameters);
  };
  for (let limit = 1; limit <= 100; limit += 1) await often({ limit: String(limit) });
  for (const column of ['customer', 'payment_intent', 'subscription', 'client_reference_id', 'customer_email']) {
    for (const ordering of ['created', '-created']) {
      for (const limit of ['1', '100', '1000']) {
        for (const include of [{}, { include: 'payment' }]) {
          await often({ [column]: 'x', ordering, limit, ...include } as Record<string, string>);
        }
      }
    }
  }
  await often({ ordering: '-id' });
  names = [];
  await Promise.all(Array.from({ length: 8 }, (_, limit) => list({ ordering: '-id', limit: String(1 + limit) })));
  expect(names.length).toBeLessThan(8);
  for (const name of names) expect(name).toMatch(/^list-/);
});
