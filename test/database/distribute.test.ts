import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { testDatabase } from '../support/database.js';

const script = readFileSync(new URL('../../prisma/distribute.sql', import.meta.url), 'utf8');
const schema = readFileSync(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8');

/** Stands in for Citus: its two functions, by name and parameters, record their calls in a table. */
const recorder = `
  CREATE TABLE asked (relation regclass PRIMARY KEY, by text, with_relation regclass);
  CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql AS
    'INSERT INTO asked VALUES (table_name)';
  CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text, colocate_with text DEFAULT NULL)
    RETURNS void LANGUAGE sql AS 'INSERT INTO asked VALUES (table_name, distribution_column, colocate_with::regclass)'`;

interface Asked {
  table: string;
  by: string | null;
  with: string | null;
}

function statementsOf(text: string): string[] {
  const statements = text.replace(/^\s*--.*$/gm, '').split(';');
  return statements.map((one) => one.trim()).filter((one) => one !== '');
}

/** Runs statements in one transaction. */
async function runAll(database: Database, statements: readonly string[]): Promise<void> {
  await database.transaction(async (query) => {
    for (const text of statements) await query({ text, values: [] });
  });
}

/** Returns the names of the service's triggers. */
async function triggersOf(database: Database): Promise<string[]> {
  const text = `SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY($1)`;
  return (await database.query<{ name: string }>({ text, values: [tables] })).map(({ name }) => name);
}

const tables = [...schema.matchAll(/^model (\w+)/gm)].map(([, name]) => name as string);
const [first, ...statements] = statementsOf(script);
const last = statements.pop();
const database = await testDatabase();
await runAll(database, statementsOf(recorder));
await runAll(database, statements);
const asked = await database.query<Asked>({
  text: `SELECT relation::text AS table, by, with_relation::text AS with FROM asked ORDER BY 1`,
  values: [],
});
const distributed = asked.filter(({ by }) => by !== null);

test("distribute.sql distributes every table except the change feed's and drops every trigger", async () => {
  const feed = tables.filter((name) => name.startsWith('checkout_session_change'));
  expect(feed).toHaveLength(2);
  expect(asked.map(({ table }) => table)).toEqual(tables.filter((name) => !feed.includes(name)).sort());
  expect(await triggersOf(database)).toEqual([]);
});

test('distribute.sql is one transaction, so it changes nothing without the extension citus', async () => {
  expect([first, last]).toEqual(['BEGIN', 'COMMIT']);
  const plain = await testDatabase();
  const before = await triggersOf(plain);
  expect(before).toHaveLength(4);
  await expect(runAll(plain, statements)).rejects.toThrow(/create_reference_table/);
  expect(await triggersOf(plain)).toEqual(before);
});

test('a session and its events are on the same shard', () => {
  expect(distributed).toEqual([
    { table: 'checkout_session', by: 'id', with: null },
    { table: 'stripe_event', by: 'session_id', with: 'checkout_session' },
  ]);
});

test('every unique constraint of a distributed table contains its distribution column', async () => {
  const rows = await database.query<{ name: string; table: string; columns: string[] }>({
    text: `SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table,
        array_agg(a.attname::text) AS columns
      FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
      WHERE i.indisunique AND i.indrelid::regclass::text = ANY($1) GROUP BY 1, 2`,
    values: [distributed.map(({ table }) => table)],
  });
  expect(rows).toHaveLength(2);
  for (const { table, columns } of rows) expect(columns).toContain(distributed.find((one) => one.table === table)?.by);
});

test('foreign keys of a distributed table point only to reference tables', async () => {
  const rows = await database.query<{ table: string }>({
    text: `SELECT DISTINCT confrelid::regclass::text AS table FROM pg_constraint
      WHERE contype = 'f' AND conrelid::regclass::text = ANY($1)`,
    values: [distributed.map(({ table }) => table)],
  });
  expect(rows).toHaveLength(3);
  for (const { table } of rows) expect(asked).toContainEqual({ table, by: null, with: null });
});
