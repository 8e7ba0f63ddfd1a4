import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import {
  migrate,
  noFilters,
  pendingMigrations,
  prismaDirectory,
  readMigrations,
  withSchemaEngine,
} from '../../src/database/engine/migrate.js';
import { columns } from '../../src/model/session.js';
import { onPostgres, testDatabase } from '../support/database.js';

const names = (await readMigrations()).migrationDirectories.map(({ path }) => path);
const empty = await testDatabase('empty');
const failing = await testDatabase('empty');
const repeated = await testDatabase('empty');
const migrated = await testDatabase();
const rows = <Row>(database: typeof empty, text: string, values: unknown[] = []) =>
  database.query<Row>({ text, values });

test('an empty database gets every migration in order, and the next start applies none', async () => {
  expect(await pendingMigrations(empty)).toEqual(names);
  expect(await migrate(empty)).toEqual(names);
  expect(await pendingMigrations(empty)).toEqual([]);
  expect(await migrate(empty)).toEqual([]);
  expect(await rows(empty, 'SELECT id FROM checkout_session')).toEqual([]);
});

test('_prisma_migrations holds the name and checksum of every migration file', async () => {
  const applied = await rows<{ name: string; checksum: string; finished: boolean; applied_steps_count: number }>(
    migrated,
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished, applied_steps_count
      FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY migration_name`,
  );
  const expected = names.map(async (name) => ({
    name,
    checksum: createHash('sha256')
      .update(await readFile(join(prismaDirectory, 'migrations', name, 'migration.sql')))
      .digest('hex'),
    finished: true,
    applied_steps_count: 1,
  }));
  expect(applied).toEqual(await Promise.all(expected));
});

if (onPostgres) {
  const connected = await testDatabase('empty');

  test('after migrating no connection of the schema engine stays open', async () => {
    expect(await migrate(connected)).toEqual(names);
    const others = `SELECT application_name AS name, query FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND application_name <> 'checkout-session-service'`;
    await expect.poll(() => rows(connected, others)).toEqual([]);
  });
}

// The schema engine empties this database before each comparison.
const shadow = await PGlite.create();
afterAll(() => shadow.close());

/** Returns the migration that the schema engine would add to reach a schema. */
async function drift(schema: string): Promise<{ exitCode: number; stdout: string | null }> {
  const migrations = await readMigrations();
  return withSchemaEngine(new PrismaPGlite(shadow), (engine) =>
    engine.diff({
      from: { tag: 'migrations', ...migrations },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
      script: true,
      exitCode: true,
      filters: noFilters,
    }),
  );
}

const schema = await readFile(join(prismaDirectory, 'schema.prisma'), 'utf8');

test('a row can be written with an empty search_path, as pg_restore does', async () => {
  const written = await migrated.transaction(async (query) => {
    await query({ text: `SET LOCAL search_path TO ''`, values: [] });
    const [row] = await query<{ document: string }>({
      text: `INSERT INTO public.checkout_session (id, mode, submit_type, billing_address_collection, payment_method_types)
        VALUES ('cs_test_restored', 'payment', 'pay', 'auto', '{}') RETURNING document`,
      values: [],
    });
    return JSON.parse(row?.document ?? '');
  });
  expect(Object.keys(written)).toEqual(columns.map(({ name }) => name));
  expect(written.id).toBe('cs_test_restored');
});

test('stripe_data is compressed with lz4 if the server supports it', async () => {
  const [column] = await rows<{ compression: string; has_lz4: boolean }>(
    migrated,
    `SELECT attcompression::text AS compression,
        'lz4' = ANY ((SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression')::text[]) AS has_lz4
      FROM pg_attribute WHERE attrelid = 'checkout_session'::regclass AND attname = 'stripe_data'`,
  );
  expect(column?.compression).toBe(column?.has_lz4 ? 'l' : '');
});

test('the migrations produce schema.prisma exactly', async () => {
  const { exitCode, stdout } = await drift(schema);
  expect(stdout).toContain('empty migration');
  expect(exitCode).toBe(0);
});

test.each([
  ['a column', '  payment_status     String?\n', 'ADD COLUMN     "forgotten" TEXT', '  forgotten String?\n'],
  ['an index', '  @@index([created(sort: Desc), id(sort: Desc)])\n', 'CREATE INDEX', '  @@index([locale])\n'],
])('the drift check detects %s that no migration creates', async (_, place, statement, addition) => {
  expect(schema).toContain(place);
  const { exitCode, stdout } = await drift(schema.replace(place, `${place}${addition}`));
  expect(stdout).toContain(statement);
  expect(exitCode).toBe(2);
});

/** Copies the real migrations into a temporary directory. */
async function copied(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-migrations-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await cp(join(prismaDirectory, 'migrations'), join(directory, 'migrations'), { recursive: true });
  return directory;
}

/** Copies the real migrations and adds one more. */
async function withMigration(sql: string): Promise<string> {
  const directory = await copied();
  const added = join(directory, 'migrations', '99990101000000_added');
  await mkdir(added);
  await writeFile(join(added, 'migration.sql'), sql);
  return directory;
}

const exists = async (database: typeof empty, table: string) =>
  (await rows<{ found: boolean }>(database, 'SELECT to_regclass($1) IS NOT NULL AS found', [table]))[0]?.found;

test('a failed migration is rolled back and blocks every later start', async () => {
  const directory = await withMigration(
    'CREATE TABLE half_done (id int);\nSELECT 1 / 0;\nCREATE TABLE never (id int);\n',
  );
  await expect(migrate(failing, directory)).rejects.toThrow(/99990101000000_added/);
  expect(await exists(failing, 'half_done')).toBe(false);
  expect(await exists(failing, 'never')).toBe(false);
  expect(await exists(failing, 'checkout_session')).toBe(true);
  await expect(migrate(failing, directory)).rejects.toThrow(/99990101000000_added/);
  expect(await pendingMigrations(failing, directory)).toContain('99990101000000_added');
  // An older release must not start either, because the schema may be half changed.
  await expect(migrate(failing)).rejects.toThrow();
});

test('a new migration is applied alone, and an older release still starts on the result', async () => {
  expect(await migrate(repeated)).toEqual(names);
  const directory = await withMigration(
    'CREATE TABLE added (id int);\nCREATE FUNCTION two() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; RETURN 2; END $$;\n',
  );
  expect(await migrate(repeated, directory)).toEqual(['99990101000000_added']);
  expect(await exists(repeated, 'added')).toBe(true);
  expect(await migrate(repeated)).toEqual([]);
});

/** Inserts a row while the connection's time zone is `timeZone`. Returns its document. */
async function documentIn(timeZone: string, id: string): Promise<Record<string, unknown>> {
  const [row] = await rows<{ document: string; zone: string }>(
    migrated,
    `WITH setting AS MATERIALIZED (SELECT set_config('TimeZone', $1, true) AS zone)
      INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, created, payment_method_types,
        djstripe_created, djstripe_updated)
      SELECT $2, 'auto', 'payment', 'pay', '2024-01-02T03:04:05.678901Z', '{"0": "card"}', '2024-01-02T00:00:00Z',
        '2024-07-02T00:00:00Z' FROM setting WHERE zone IS NOT NULL
      RETURNING document, current_setting('TimeZone') AS zone`,
    [timeZone, id],
  );
  expect(row?.zone).toBe(timeZone);
  return JSON.parse(row?.document as string);
}

test.each(['UTC', 'Asia/Kolkata', 'America/New_York'])(
  "document has the model's columns in order and UTC times under the time zone %s",
  async (timeZone) => {
    const document = await documentIn(timeZone, `cs_test_${timeZone}`);
    expect(Object.keys(document)).toEqual(columns.map(({ name }) => name));
    expect(document).toMatchObject({
      created: '2024-01-02T03:04:05.678901+00:00',
      djstripe_created: '2024-01-02T00:00:00+00:00',
      djstripe_updated: '2024-07-02T00:00:00+00:00',
      payment_method_types: { '0': 'card' },
      metadata: null,
      cancel_url: '',
    });
  },
);

test('document equals row_to_json of the row, including escapes and extreme times', async () => {
  const text = 'quoted " \\ / \u0001\n\u2028 ünïcødé 😀 %s';
  const full = columns.map(({ name, kind }) => {
    const value = { integer: 1, boolean: true, timestamp: '0001-01-01T00:00:00.000001Z', enum: 'auto', map: { text } };
    return [name, name === 'mode' ? 'setup' : kind === 'text' ? `${name} ${text}` : value[kind as keyof typeof value]];
  });
  const bare = { id: 'cs_test_bare', mode: 'payment', submit_type: 'pay', billing_address_collection: 'required' };
  const names = columns.map(({ name }) => `s.${name}`).join(', ');
  const compared = await migrated.transaction(async (query) => {
    await query({ text: `SET LOCAL timezone TO 'UTC'`, values: [] });
    const inserted = columns.map(({ name }) => name).join(', ');
    for (const row of [Object.fromEntries(full), { ...bare, payment_method_types: {}, djstripe_id: 2 }]) {
      const times = { djstripe_created: '2024-02-29T23:59:59Z', djstripe_updated: '9999-12-31T23:59:59.5Z' };
      const texts = Object.fromEntries(columns.flatMap(({ name, nullable }) => (nullable ? [] : [[name, '']])));
      await query({
        text: `INSERT INTO checkout_session (${inserted})
          SELECT ${inserted} FROM jsonb_populate_record(NULL::checkout_session, $1)`,
        values: [JSON.stringify({ ...texts, ...times, ...row })],
      });
    }
    return query<{ document: string; expected: string }>({
      text: `SELECT s.document, (SELECT row_to_json(p)::text FROM (SELECT ${names}) AS p) AS expected
        FROM checkout_session AS s WHERE s.id = ANY($1)`,
      values: [[bare.id, `id ${text}`]],
    });
  });
  expect(compared).toHaveLength(2);
  for (const { document, expected } of compared) expect(document).toBe(expected);
});
