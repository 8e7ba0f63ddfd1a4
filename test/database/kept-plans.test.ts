import { expect, test } from 'vitest';
import type { Statement } from '../../src/database/database.js';
import { mirrorStore } from '../../src/database/mirror.js';
import { sessionStore } from '../../src/database/sessions.js';
import { columns } from '../../src/model/session.js';
import { parseSession } from '../../src/model/session-request.js';
import type { SessionState } from '../../src/model/stripe.js';
import { onPostgres, testDatabase } from '../support/database.js';
import { sessionBody } from '../support/service.js';

const database = await testDatabase();

/** The statements of each store, as they come to the database. */
async function statements(): Promise<Statement[]> {
  const seen: Statement[] = [];
  const query = async <Row>(statement: Statement): Promise<Row[]> => {
    seen.push(statement);
    return database.query<Row>(statement);
  };
  const sessions = sessionStore({ ...database, query });
  const { value: session } = parseSession(sessionBody()) as { value: Parameters<typeof sessions.create>[0] };
  const column = columns.find(({ name }) => name === 'customer') as (typeof columns)[number];
  const none = { match: undefined, noneMatch: undefined };
  const state: SessionState = {
    ...{ id: 'cs_test_kept', raw: '{}', carried: {}, defaults: { ...session, id: 'cs_test_kept' } },
    ...{ status: null, paymentStatus: null, apiVersion: null },
    stamp: { progress: 0, second: 1, eventId: 'evt_1' },
  };
  const event = { id: 'evt_1', type: 'checkout.session.expired', account: null, livemode: null, apiVersion: null };
  await sessions.find('cs_test_none');
  await Promise.all(['cs_test_1', 'cs_test_2'].map((id) => sessions.find(id)));
  await sessions.create(session);
  await sessions.replace(session, none);
  await sessions.patch(session.id, [{ column, value: 'cus_1', merge: false }], none);
  await mirrorStore({ ...database, query }).apply(state, { ...event, created: 1 });
  return seen;
}

test('plans that are kept from the time when the tables were empty look at each row by its key', async () => {
  const seen = await statements();
  expect(seen.map(({ name }) => name)).toEqual(['find-alone', 'find', 'create', 'replace', 'patch', 'apply']);
  // Nothing but PostgreSQL keeps plans.
  if (!onPostgres) return;
  await database.query({ text: 'TRUNCATE checkout_session, stripe_event', values: [] });
  for (const { text } of seen) {
    const lines = await database.transaction(async (query) => {
      await query({ text: 'SET LOCAL plan_cache_mode = force_generic_plan', values: [] });
      await query({ text: `PREPARE kept AS ${text}`, values: [] });
      const plan = await query<{ 'QUERY PLAN': string }>({ text: `EXPLAIN EXECUTE kept ('[]')`, values: [] });
      await query({ text: 'DEALLOCATE kept', values: [] });
      return plan.map((row) => row['QUERY PLAN']);
    });
    const scans = lines.filter((line) => / on (checkout_session|stripe_event) /.test(line) && line.includes('Scan'));
    expect(scans).not.toEqual([]);
    for (const scan of scans) expect(scan).toMatch(/Index (Only )?Scan using \w+_pkey/);
  }
});
