import pino from 'pino';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../src/database/engine/database.js';
import { mirrorStore } from '../src/database/sessions/mirror.js';
import { createIngest } from '../src/stripe/ingest.js';
import { eraseSessions, type Person } from '../src/transfer/erase.js';
import { processDatabase, testDatabase } from './support/database.js';
import { runCommandLine, runWarmCommand } from './support/process.js';
import { type RawSession, rawEvent, rawSession } from './support/stripe.js';

const customer = 'cus_jenny';
const email = 'jenny.rosen@example.com';

/** One session for each place where Stripe or a client may store the person's data. */
const byCustomer = {
  cs_test_customer: { customer },
  cs_test_customer_raw: { customer },
  cs_test_customer_expanded: { customer: { id: customer, object: 'customer' } },
  cs_test_customer_in_intent: { payment_intent: { id: 'pi_1', object: 'payment_intent', customer } },
  cs_test_customer_in_invoice: {
    subscription: { id: 'sub_1', latest_invoice: { id: 'in_1', customer: { id: customer } } },
  },
  cs_test_customer_of_accounts_v2: { customer_account: customer },
};
const byEmail = {
  cs_test_email: { customer_email: 'Jenny.Rosen@Example.com' },
  cs_test_email_raw: { customer_email: email },
  cs_test_email_details: { customer_details: { email: 'JENNY.ROSEN@example.com', name: 'Jenny Rosen' } },
  cs_test_email_expanded: { customer: { id: 'cus_guest', object: 'customer', email } },
  cs_test_email_in_intent: { payment_intent: { id: 'pi_2', receipt_email: 'Jenny.Rosen@example.com' } },
  cs_test_email_in_metadata: { metadata: { email } },
  cs_test_email_typed: { custom_fields: [{ key: 'contact', text: { value: 'JENNY.Rosen@example.com' } }] },
};
/** Sessions of other people that resemble the person's. */
const ofOthers = {
  cs_test_other_customer: { customer: 'cus_jenny2', metadata: { seller: customer } },
  cs_test_other_merchant: { payment_intent: { id: 'pi_3', on_behalf_of: customer, customer: null } },
  cs_test_other_email: { customer_email: `a${email}`, customer_details: { email: null } },
  cs_test_other_wildcard: { customer_email: 'jennyXrosen@example.com' },
  cs_test_other_nobody: {},
};

const ingestOf = (database: Database) =>
  createIngest(mirrorStore(database), { STRIPE_LIVEMODE: 'both' }, pino({ level: 'silent' }));

function eventOf(id: string, fields: Partial<RawSession>) {
  return rawEvent(rawSession({ id, ...fields }), { id: `evt_of_${id}` });
}

async function idsOf(database: Database, of: 'sessions' | 'tombstones'): Promise<string[]> {
  const rows = await database.query<{ id: string }>({
    text: 'SELECT id FROM checkout_session WHERE (version = 0) = $1 ORDER BY id COLLATE "C"',
    values: [of === 'tombstones'],
  });
  return rows.map(({ id }) => id);
}

const people = await processDatabase();
const erase = (...args: string[]) => runWarmCommand('erase', args, people.environment);
const sorted = (sessions: object) => Object.keys(sessions).sort();
/** Progress lines may come before it. */
const lastLine = (stderr: string) => stderr.trim().split('\n').at(-1);
const linesOf = (ids: readonly string[]) => ids.map((id) => `${id}\n`).join('');

beforeAll(() =>
  people.use(async (database) => {
    const ingest = ingestOf(database);
    for (const [id, fields] of Object.entries({ ...byCustomer, ...byEmail, ...ofOthers })) {
      await ingest.event(eventOf(id, fields as Partial<RawSession>));
    }
    // Simulates a PATCH: only the raw objects still hold the person's data.
    const text = `UPDATE checkout_session SET customer = 'cus_new', customer_email = '' WHERE id = ANY($1)`;
    const raw = ['cs_test_customer_raw', 'cs_test_customer_expanded', 'cs_test_email_raw', 'cs_test_email_expanded'];
    await database.query({ text, values: [raw] });
  }),
);

test('a dry run prints the sessions it would erase and changes nothing', async () => {
  const { code, stdout, stderr } = await erase('--customer', customer, '--email', email, '--dry-run');
  expect(stdout).toBe(linesOf(sorted({ ...byCustomer, ...byEmail })));
  expect(lastLine(stderr)).toBe('Would erase 13 of 18 sessions read.');
  expect(code).toBe(0);
  await people.use(async (database) => {
    expect(await idsOf(database, 'sessions')).toHaveLength(18);
    expect(await idsOf(database, 'tombstones')).toEqual([]);
  });
});

test('--customer erases the sessions that hold the customer id anywhere', async () => {
  const { code, stdout, stderr } = await runCommandLine('erase', ['--customer', customer], people.environment);
  expect(stdout).toBe(linesOf(sorted(byCustomer)));
  expect(lastLine(stderr)).toBe('Erased 6 of 18 sessions read.');
  expect(code).toBe(0);
});

test('--email erases the sessions that hold the address anywhere, ignoring case', async () => {
  const { code, stdout, stderr } = await erase('--email', ` ${email.toUpperCase()} `);
  expect(stdout).toBe(linesOf(sorted(byEmail)));
  expect(lastLine(stderr)).toBe('Erased 7 of 12 sessions read.');
  expect(code).toBe(0);
});

test("after an erasure the person's data is gone and every other session remains", async () => {
  await people.use(async (database) => {
    expect(await idsOf(database, 'sessions')).toEqual(sorted(ofOthers));
    expect(await idsOf(database, 'tombstones')).toEqual(sorted({ ...byCustomer, ...byEmail }));
  });
  const { stdout } = await runWarmCommand('export', ['--full'], people.environment);
  const lines = stdout.split('\n');
  expect(lines.filter((line) => line.includes('"kind":"event"'))).toHaveLength(18);
  const traces = lines.filter((line) => /jenny/i.test(line) && !line.includes('"cs_test_other_'));
  expect(traces).toEqual([]);
});

test('an erased session stays erased when Stripe sends it again', async () => {
  await people.use(async (database) => {
    const again = rawEvent(rawSession({ id: 'cs_test_email', customer_email: email, status: 'complete' }));
    expect(await ingestOf(database).event(again)).toMatchObject({ outcome: 'deleted' });
  });
  const { code, stdout, stderr } = await erase('--customer', customer, '--email', email);
  expect({ code, stdout, last: lastLine(stderr) }).toEqual({
    code: 0,
    stdout: '',
    last: 'Erased 0 of 5 sessions read.',
  });
});

test.each([
  ['nobody', [], 'Name the customer'],
  ['an empty address beside a customer', ['--customer', 'cus_1', '--email', ' '], '--email is empty'],
  ['a customer that is not named as such', ['cus_1'], 'Unexpected argument'],
])('erase with %s exits with 2', async (_, args, message) => {
  const { code, stderr } = await erase(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

async function eraseAll(database: Database, person: Person): Promise<{ read: number; ids: string[] }> {
  const all = { read: 0, ids: [] as string[] };
  for await (const { read, ids } of eraseSessions(database, person, { dryRun: false })) {
    all.read += read;
    all.ids.push(...ids);
  }
  return all;
}

describe('eraseSessions', async () => {
  const database = await testDatabase();
  beforeEach(() => database.query({ text: 'DELETE FROM checkout_session', values: [] }));

  test("reads every page and reports the database's totals", async () => {
    await database.query({
      text: `INSERT INTO checkout_session
        (id, billing_address_collection, mode, submit_type, payment_method_types, customer)
      SELECT 'cs_' || n, 'auto', 'payment', 'auto', '{}', 'cus_' || n % 2 FROM generate_series(1, 1700) AS n`,
      values: [],
    });
    const { read, ids } = await eraseAll(database, { customer: 'cus_1' });
    expect(read).toBe(1700);
    expect(ids).toHaveLength(850);
    expect(await idsOf(database, 'tombstones')).toEqual([...ids].sort());
    const left = await database.query({
      text: 'SELECT DISTINCT customer FROM checkout_session WHERE version <> 0',
      values: [],
    });
    expect(left).toEqual([{ customer: 'cus_0' }]);
  });

  test('brings no session back when events arrive meanwhile', async () => {
    const ingest = ingestOf(database);
    const ids = Array.from({ length: 200 }, (_, index) => `cs_test_${String(index).padStart(3, '0')}`);
    const states = ids.map((id) => eventOf(id, { customer }));
    await Promise.all(states.map((event) => ingest.event(event)));
    const newer = ids.map((id) => rawEvent(rawSession({ id, customer, status: 'complete' })));
    const [erased] = await Promise.all([
      eraseAll(database, { customer }),
      ...newer.map((event) => ingest.event(event)),
    ]);
    expect(erased.ids).toEqual(ids);
    expect(await idsOf(database, 'sessions')).toEqual([]);
  });
});
