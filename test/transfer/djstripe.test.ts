import { beforeAll, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { djstripeEntries, newDjstripeCounts } from '../../src/transfer/djstripe.js';
import { djstripeRows, NotDjstripe } from '../../src/transfer/djstripe-tables.js';
import type { ImportEntry } from '../../src/transfer/import-file.js';
import { type ImportedRow, transferStore } from '../../src/transfer/store.js';
import { expectSession } from '../support/contract.js';
import { postgresDatabase, processDatabase, testDatabase } from '../support/database.js';
import { runWarmCommand as run } from '../support/process.js';
import { rawSession } from '../support/stripe.js';
import { totalsOf } from './support.js';

const template = inject('template');

interface Version {
  name: string;
  /** The type of foreign keys, set by DJSTRIPE_FOREIGN_KEY_TO_FIELD. */
  reference: 'bigint' | 'text';
  /** True from dj-stripe 2.10 on: a `stripe_data` column in place of most others. */
  isNew: boolean;
}

const versions: Version[] = [
  { name: 'columns, references by djstripe_id', reference: 'bigint', isNew: false },
  { name: 'columns, references by id', reference: 'text', isNew: false },
  { name: 'stripe_data, references by djstripe_id', reference: 'bigint', isNew: true },
  { name: 'stripe_data, references by id', reference: 'text', isNew: true },
];

/** Creates the tables as dj-stripe's migrations do, with three sessions. */
async function build(database: Database, { reference, isNew }: Version): Promise<void> {
  const statement = (text: string, values: unknown[] = []) => database.query({ text, values });
  for (const [table, id] of [
    ['customer', 'cus_1'],
    ['paymentintent', 'pi_1'],
    ['subscription', 'sub_1'],
    ['account', 'acct_1'],
  ]) {
    await statement(
      `CREATE TABLE djstripe_${table} (djstripe_id bigserial PRIMARY KEY, id varchar(255) UNIQUE NOT NULL)`,
    );
    await statement(`INSERT INTO djstripe_${table} (djstripe_id, id) VALUES (7, $1)`, [id]);
  }
  const to = (id: string | null) => (id === null ? null : reference === 'bigint' ? 7 : id);
  await statement(`CREATE TABLE djstripe_session (djstripe_id bigserial PRIMARY KEY, id varchar(255) UNIQUE NOT NULL,
    livemode boolean, created timestamptz, metadata jsonb, djstripe_created timestamptz NOT NULL,
    djstripe_updated timestamptz NOT NULL, client_reference_id text NOT NULL, customer_email varchar(255) NOT NULL,
    locale varchar(255) NOT NULL, mode varchar(12) NOT NULL, customer_id ${reference}, djstripe_owner_account_id varchar(255),
    ${
      isNew
        ? 'stripe_data jsonb NOT NULL, status varchar(8), amount_total bigint'
        : `description text, billing_address_collection varchar(8) NOT NULL, cancel_url text NOT NULL, display_items jsonb,
          payment_method_types jsonb NOT NULL, submit_type varchar(6) NOT NULL, success_url text NOT NULL,
          payment_intent_id ${reference}, subscription_id ${reference}`
    })`);
  const insert = async (number: number, fields: Record<string, unknown>) => {
    const row: Record<string, unknown> = {
      ...{
        djstripe_id: number,
        id: `cs_test_dj_${number}`,
        livemode: false,
        created: '2024-01-01T12:00:00Z',
        metadata: '{}',
      },
      ...{ djstripe_created: '2024-01-01T12:00:01.000001Z', djstripe_updated: '2024-01-02T12:00:00.999999Z' },
      ...{ client_reference_id: '', customer_email: '', locale: '', mode: '', customer_id: null },
      djstripe_owner_account_id: 'acct_1',
      ...(isNew
        ? { stripe_data: '{}' }
        : {
            billing_address_collection: '',
            cancel_url: '',
            payment_method_types: '[]',
            submit_type: '',
            success_url: '',
          }),
      ...fields,
    };
    const names = Object.keys(row);
    await statement(
      `INSERT INTO djstripe_session (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      Object.values(row),
    );
  };
  const full = {
    mode: 'subscription',
    metadata: '{"order": "1"}',
    customer_id: to('cus_1'),
    customer_email: 'a@example.com',
  };
  const raw = rawSession({
    ...{ id: 'cs_test_dj_41', ...full, metadata: { order: '1' }, customer: 'cus_1', payment_intent: 'pi_1' },
    ...{ subscription: 'sub_1', submit_type: 'pay', billing_address_collection: 'required', cancel_url: 'https://c' },
    ...{ status: 'complete', payment_status: 'paid', success_url: 'https://s' },
    line_items: { object: 'list', data: [{ id: 'li_1' }] },
  });
  await insert(41, {
    ...full,
    ...(isNew
      ? { stripe_data: JSON.stringify(raw), status: 'complete' }
      : {
          ...{ billing_address_collection: 'required', submit_type: 'pay', payment_method_types: '["card", "link"]' },
          ...{ cancel_url: 'https://c', success_url: 'https://s', display_items: '[{"id": "li_1"}]' },
          ...{ payment_intent_id: to('pi_1'), subscription_id: to('sub_1'), description: 'ours' },
        }),
  });
  await insert(40, { livemode: true });
  await insert(43, { livemode: null, created: null, metadata: null, djstripe_owner_account_id: null });
}

const expected = (isNew: boolean) => ({
  ...{ djstripe_id: 41, id: 'cs_test_dj_41', billing_address_collection: 'required', mode: 'subscription' },
  ...{ submit_type: 'pay', djstripe_created: '2024-01-01T12:00:01.000001+00:00' },
  ...{ djstripe_updated: '2024-01-02T12:00:00.999999+00:00', livemode: false, created: '2024-01-01T12:00:00+00:00' },
  ...{ metadata: { order: '1' }, description: isNew ? null : 'ours', cancel_url: 'https://c', client_reference_id: '' },
  ...{ customer_email: 'a@example.com', display_items: { '0': { id: 'li_1' } }, locale: '', success_url: 'https://s' },
  ...{ payment_method_types: { '0': 'card', '1': 'link' }, djstripe_owner_account: 'acct_1', customer: 'cus_1' },
  ...{ payment_intent: 'pi_1', subscription: 'sub_1' },
});

async function documents(database: Database): Promise<Record<string, unknown>[]> {
  const rows = await database.query<{ document: string }>({
    text: 'SELECT document FROM checkout_session ORDER BY djstripe_id',
    values: [],
  });
  return rows.map(({ document }) => JSON.parse(document));
}

function expectTakenOver(sessions: Record<string, unknown>[], isNew: boolean): void {
  for (const session of sessions) expectSession(session);
  expect(sessions.map((session) => session.djstripe_id)).toEqual([40, 41, 43]);
  expect(sessions[1]).toEqual(expected(isNew));
  expect(sessions[0]).toMatchObject({
    mode: 'payment',
    submit_type: 'auto',
    billing_address_collection: 'auto',
    livemode: true,
  });
  expect(sessions[2]).toMatchObject({ metadata: null, livemode: null, created: null, djstripe_owner_account: null });
}

const privateColumns = `SELECT status, payment_status, stripe_progress, stripe_second::integer, stripe_event_id,
  stripe_data ->> 'client_secret' AS secret, stripe_data IS NOT NULL AS raw FROM checkout_session WHERE djstripe_id = 41`;

const source = await testDatabase('empty');
const target = await testDatabase();

/** Removes dj-stripe's tables from the source and every session from the target. */
async function clear(): Promise<void> {
  const tables = ['customer', 'paymentintent', 'subscription', 'account', 'session'].map((name) => `djstripe_${name}`);
  await source.query({ text: `DROP TABLE IF EXISTS ${tables}`, values: [] });
  await target.query({ text: 'DELETE FROM checkout_session', values: [] });
}

describe.each(versions)('$name', (version) => {
  const { isNew } = version;
  beforeAll(async () => {
    await clear();
    await build(source, version);
  });
  const options = { account: undefined, acceptsMode: () => true, onProjection: () => {}, counts: newDjstripeCounts() };

  test('dj-stripe rows become sessions that keep their djstripe_updated', async () => {
    const entries: ImportEntry[] = [];
    for await (const entry of djstripeEntries(djstripeRows(source), options)) entries.push(entry);
    const rows = entries.map(({ parsed }) => parsed as { json: string; djstripeId: number });
    const results = await transferStore(target).sessions(rows);
    expect(results.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'applied']);
    expectTakenOver(await documents(target), isNew);
    const [row] = await target.query({ text: privateColumns, values: [] });
    expect(row).toEqual({
      ...{ status: isNew ? 'complete' : null, payment_status: isNew ? 'paid' : null, stripe_progress: isNew ? 2 : 0 },
      ...{ stripe_second: Date.parse('2024-01-02T12:00:00Z') / 1000, stripe_event_id: '', secret: null, raw: isNew },
    });
    const again = await transferStore(target).sessions(rows);
    expect(again.map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged', 'unchanged']);
  });

  test('a row of an excluded mode is ignored', async () => {
    const results: unknown[] = [];
    const testOnly = { ...options, acceptsMode: (livemode: boolean) => !livemode };
    for await (const { parsed } of djstripeEntries(djstripeRows(source), testOnly)) results.push(parsed);
    expect(results).toEqual([{ ignored: true }, expect.objectContaining({ djstripeId: 41 }), expect.anything()]);
  });
});

/** Builds a dj-stripe table with one row, imports it, and returns the stored session. */
async function importOne(columns: string, row: Record<string, unknown>) {
  await clear();
  const times = 'djstripe_created timestamptz DEFAULT now(), djstripe_updated timestamptz DEFAULT now()';
  const references = ['customer', 'payment_intent', 'setup_intent', 'subscription'].map((name) => `${name}_id text`);
  await source.query({
    text: `CREATE TABLE djstripe_session (djstripe_id bigserial PRIMARY KEY, id text, livemode boolean, created timestamptz,
      metadata jsonb, djstripe_owner_account_id text, ${times}, ${references.join(', ')}, ${columns})`,
    values: [],
  });
  const names = Object.keys(row);
  await source.query({
    text: `INSERT INTO djstripe_session (${names}) VALUES (${names.map((_, index) => `$${index + 1}`)})`,
    values: Object.values(row),
  });
  const counts = newDjstripeCounts();
  const options = { account: undefined, acceptsMode: () => true, onProjection: () => {}, counts };
  const rows: ImportedRow[] = [];
  for await (const { parsed } of djstripeEntries(djstripeRows(source), options)) rows.push(parsed as ImportedRow);
  expect(await transferStore(target).sessions(rows)).toMatchObject([{ outcome: 'applied' }]);
  const [stored] = await target.query<{
    document: string;
    stripe_data: unknown;
    status: string | null;
    payment_status: string | null;
    stripe_progress: number;
    payment: string;
  }>({
    text: `SELECT document, stripe_data, status, payment_status, stripe_progress,
      checkout_session_payment(id, livemode, stripe_data) AS payment FROM checkout_session`,
    values: [],
  });
  if (!stored) throw new Error('nothing is stored');
  expect(await transferStore(target).sessions(rows)).toMatchObject([{ outcome: 'unchanged' }]);
  return { ...stored, document: JSON.parse(stored.document), payment: JSON.parse(stored.payment), counts };
}

const columnsOfContract = `description text, billing_address_collection text, cancel_url text, client_reference_id text,
  customer_email text, display_items jsonb, locale text, mode text, payment_method_types jsonb, submit_type text,
  success_url text`;
const columnsOfPayment = `amount_subtotal bigint, amount_total bigint, currency varchar(3), line_items jsonb,
  payment_status text, status text, url text, total_details jsonb, shipping_cost jsonb, shipping_details jsonb,
  shipping_options jsonb, shipping_address_collection jsonb`;
const blank = {
  ...{ cancel_url: '', client_reference_id: '', customer_email: '', locale: '', submit_type: '' },
  ...{ billing_address_collection: '', success_url: '', payment_method_types: '["card"]' },
};

test('2.8: payment columns become a raw object, and line items become display_items', async () => {
  const { document, stripe_data, counts, ...stored } = await importOne(`${columnsOfContract}, ${columnsOfPayment}`, {
    ...{ ...blank, id: 'cs_test_28', mode: 'payment', created: '2026-01-01T00:00:00Z', metadata: '{"a": "1"}' },
    ...{ customer_id: 'cus_1', description: 'ours', amount_subtotal: 2000, amount_total: 9007199254740991 },
    ...{ currency: 'usd', payment_status: 'paid', status: 'complete', url: '' },
    line_items: '{"object": "list", "data": [{"id": "li_1"}]}',
  });
  expect(stored).toMatchObject({ status: 'complete', payment_status: 'paid', stripe_progress: 2 });
  expect(stored.payment).toMatchObject({ payment_status: 'paid', amount_total: 9007199254740991, currency: 'usd' });
  expect(document).toMatchObject({ display_items: { '0': { id: 'li_1' } }, customer: 'cus_1', description: 'ours' });
  expect(stripe_data).toMatchObject({
    ...{ object: 'checkout.session', id: 'cs_test_28', created: 1767225600, customer: 'cus_1', url: null },
    ...{ metadata: { a: '1' }, payment_method_types: ['card'], locale: null, submit_type: null },
  });
  expect(Object.keys(stripe_data as object).filter((name) => /^djstripe|description/.test(name))).toEqual([]);
  expect(counts).toEqual({ edited: 0, withoutPayment: 0, unresolved: 0 });
});

test('2.9: an edited column wins over the raw object, which stays unchanged', async () => {
  const raw = rawSession({ id: 'cs_test_29', metadata: { a: '1' }, customer: 'cus_1', payment_status: 'paid' });
  const columns = `${columnsOfContract}, ${columnsOfPayment}, stripe_data jsonb`;
  const { document, stripe_data, counts, ...stored } = await importOne(columns, {
    ...{ ...blank, id: 'cs_test_29', mode: 'payment', metadata: '{"a": "2"}', customer_id: null, livemode: true },
    ...{ stripe_data: JSON.stringify(raw), customer_email: 'new@example.com', success_url: raw.success_url },
  });
  expect(document).toMatchObject({
    ...{ metadata: { a: '2' }, customer: null, livemode: true, customer_email: 'new@example.com' },
  });
  const { client_secret, ...kept } = raw;
  expect(stripe_data).toEqual(kept);
  expect(stored.payment_status).toBe('paid');
  expect(counts.edited).toBe(1);
});

test('2.10: a row never synced again is read from its remaining columns, and counted', async () => {
  const { document, stripe_data, counts } = await importOne('stripe_data jsonb', {
    ...{
      id: 'cs_test_210',
      stripe_data: '{}',
      setup_intent_id: 'seti_1',
      customer_id: 'cus_1',
      metadata: '{"a": "1"}',
    },
  });
  expect(document).toMatchObject({ mode: 'setup', customer: 'cus_1', metadata: { a: '1' } });
  expect(stripe_data).toBeNull();
  expect(counts).toEqual({ edited: 0, withoutPayment: 1, unresolved: 0 });
});

test("a database without dj-stripe's table is refused", async () => {
  await expect(djstripeRows(target).next()).rejects.toThrow(NotDjstripe);
});

if (template.kind === 'postgres') {
  const { environment } = await processDatabase();

  describe.each(versions)('npm run import -- --from-djstripe, with $name', async (version) => {
    const source = await postgresDatabase(template.url, 'template0');
    const target = await processDatabase();
    await build(source.database, version);

    test('imports every row, changes nothing when repeated, and numbers new sessions after the last', async () => {
      const args = ['--from-djstripe', source.url];
      const first = await run('import', args, target.environment);
      expect(first.code, first.stderr).toBe(0);
      expect(totalsOf(first)).toMatchObject({ read: 3, applied: 3 });
      expect(first.stderr.trim()).toBe('3 read, 3 applied, 0 failed');
      expect(first.stdout).toContain(`${version.isNew ? 2 : 3} rows came without Stripe's object`);
      await target.use(async (database) => expectTakenOver(await documents(database), version.isNew));
      expect(totalsOf(await run('import', args, target.environment))).toMatchObject({ read: 3, unchanged: 3 });
      const [created] = await target.use((database) =>
        database.query<{ next: number }>({
          text: `SELECT nextval('checkout_session_djstripe_id_seq')::integer AS next`,
          values: [],
        }),
      );
      expect(created?.next).toBe(44);
      await target.use((database) =>
        sessionStore(database).remove('cs_test_dj_41', { match: undefined, noneMatch: undefined }),
      );
      expect(totalsOf(await run('import', args, target.environment))).toMatchObject({ unchanged: 2, deleted: 1 });
    });

    test('reports a djstripe_id above 2147483647 and imports the other rows', async () => {
      await source.database.query({
        text: `UPDATE djstripe_session SET djstripe_id = 2147483648 WHERE djstripe_id = 43`,
        values: [],
      });
      const exit = await run('import', ['--from-djstripe', source.url], target.environment);
      expect(exit.code).toBe(1);
      expect(exit.stderr).toContain('djstripe_id 2147483648: djstripe_id must be <= 2147483647');
      expect(totalsOf(exit)).toMatchObject({ read: 3, bad: 1 });
    });
  });

  test("import from a database without dj-stripe's table exits with 2", async () => {
    const exit = await run('import', ['--from-djstripe', environment.DATABASE_URL as string], environment);
    expect(exit.stderr.trim()).toMatch(/^PostgreSQL at .*: There is no table djstripe_session\.$/);
    expect(exit.stdout).toBe('');
    expect(exit.code).toBe(2);
  });
}
