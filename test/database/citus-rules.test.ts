import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { expandShardHints } from '../../src/database/engine/citus.js';
import { readMigrations } from '../../src/database/engine/migrate.js';
import { testDatabase } from '../support/database.js';
import { startService } from '../support/service.js';
import { webhookSecret } from '../support/stripe.js';
import { readCatalogue } from './citus/catalogue.js';
import { callRoutes, recording, runCommands } from './citus/operations.js';
import { treeOf } from './citus/query-tree.js';
import { faultsOf } from './citus/rules.js';

/**
 * Checks the service's statements against the rules of Citus without a Citus server. `npm run citus` runs them on one.
 * PostgreSQL itself parses each statement and says which functions are volatile.
 */

const script = readFileSync(new URL('../../prisma/distribute.sql', import.meta.url), 'utf8');
const tables = [...script.matchAll(/^SELECT create_distributed_table\('(\w+)'/gm)].map(([, table]) => table as string);

const database = await testDatabase();
// The part of Citus's catalogue by which the service knows that the tables are distributed.
await database.query({
  text: `CREATE TABLE pg_dist_partition AS SELECT t::regclass AS logicalrelid FROM unnest($1::text[]) AS t`,
  values: [tables],
});
const catalogue = await readCatalogue(database, tables);
const faults = async (text: string, namesShards = false) =>
  faultsOf(await treeOf(database, text), catalogue, namesShards);

const input = `WITH input AS MATERIALIZED (SELECT r.* FROM jsonb_to_recordset($1::jsonb) AS r (id text, v text))`;
const insert = (conflict: string) => `INSERT INTO stripe_event AS e (id, type, created, session_id, outcome)
  VALUES ('a', 'b', now(), 'c', 'd') ON CONFLICT (session_id, id) DO UPDATE SET ${conflict}`;
const update = (set: string, where = 'true') => `UPDATE checkout_session AS s SET ${set} WHERE ${where}`;

describe('the rules of Citus', () => {
  test.each([
    [update('djstripe_updated = clock_timestamp()'), 'a VOLATILE function in an UPDATE or DELETE'],
    [update(`description = ''`, 'random() < 1'), 'a VOLATILE function in an UPDATE or DELETE'],
    [`DELETE FROM stripe_event WHERE created < clock_timestamp()`, 'a VOLATILE function in an UPDATE or DELETE'],
    [update(`description = s.id || s.djstripe_id`), 'a STABLE function over columns in an UPDATE or DELETE'],
    [update(`description = s.djstripe_created::text`), 'a STABLE function over columns in an UPDATE or DELETE'],
    [
      update(`djstripe_updated = CASE WHEN s.version > 1 THEN now() ELSE s.djstripe_updated END`),
      'a function that is not IMMUTABLE in CASE or COALESCE of an UPDATE or DELETE',
    ],
    [
      update(`created = coalesce(s.created, now())`),
      'a function that is not IMMUTABLE in CASE or COALESCE of an UPDATE or DELETE',
    ],
    [`${update('version = 1')} RETURNING s.id || s.version`, 'a function that is not IMMUTABLE in RETURNING'],
    [insert('created = now()'), 'a function that is not IMMUTABLE in ON CONFLICT'],
    [insert(`outcome = 'x' WHERE e.created::text = 'y'`), 'a function that is not IMMUTABLE in ON CONFLICT'],
    [
      `SELECT r.id, (SELECT true FROM checkout_session AS s WHERE s.id = r.id)
        FROM jsonb_to_recordset($1::jsonb) AS r (id text)`,
      'a correlated subquery where FROM has no table',
    ],
    [
      `${input} SELECT (SELECT s.version FROM checkout_session AS s WHERE s.id = r.id) FROM input AS r`,
      'a correlated subquery where FROM has no table',
    ],
    [
      `${input} SELECT l.id FROM input AS r, LATERAL (SELECT s.id FROM checkout_session AS s WHERE s.id = r.id LIMIT 1) AS l`,
      'a LATERAL over a table',
    ],
    [
      `SELECT l.total FROM checkout_session AS s, LATERAL (SELECT max(x) + s.version AS total FROM unnest(ARRAY[1]) AS x) AS l`,
      'an aggregate without GROUP BY in a LATERAL',
    ],
    [
      `SELECT (SELECT to_json(l)::text FROM (SELECT s.id, now() AS at) AS l) FROM checkout_session AS s`,
      'a subquery without FROM that has a function that is not IMMUTABLE',
    ],
  ])('reject %s', async (text, fault) => {
    expect(await faults(text)).toContain(fault);
  });

  test('require a join with the inputs to name its shards', async () => {
    const join = `${input} SELECT s.document FROM input AS r JOIN checkout_session AS s ON s.id = r.id`;
    expect(await faults(join, true)).toEqual(['a join that visits all shards']);
    expect(await faults(`${join} AND s.id = ANY($2::text[])`, true)).toEqual([]);
    expect(await faults(`SELECT s.document FROM checkout_session AS s WHERE s.id = $1`, true)).toEqual([]);
  });

  test('require a correlated subquery to name its shards', async () => {
    const events = (
      condition: string,
    ) => `SELECT (SELECT max(e.id) FROM stripe_event AS e WHERE e.session_id = s.id ${condition})
      FROM checkout_session AS s WHERE s.id = $1`;
    expect(await faults(events(''), true)).toEqual(['a correlated subquery that visits all shards']);
    expect(await faults(events('AND e.session_id = ANY($2::text[])'), true)).toEqual([]);
  });

  test.each([
    update('djstripe_updated = greatest(now(), s.djstripe_updated), version = s.version + 1'),
    `${update(`description = s.id || s.version::text`)} RETURNING s.id || '-' || s.version::text`,
    insert('created = excluded.created, outcome = excluded.outcome'),
    `${input} SELECT s.id FROM input AS r JOIN checkout_session AS s ON s.id = r.id`,
    `SELECT (SELECT count(*) FROM stripe_event AS e WHERE e.session_id = s.id) FROM checkout_session AS s`,
    `SELECT (SELECT max(x) FROM unnest(ARRAY[1, s.version]) AS x) FROM checkout_session AS s`,
  ])('accept %s', async (text) => {
    expect(await faults(text)).toEqual([]);
  });
});

/** The error of Citus for a statement it cannot run. */
const notSupported = Object.assign(new Error('not supported'), { code: '0A000' });

/** The change feed is 501 on distributed tables and runs none of its statements there. */
const isOfFeed = (name = '') => /^changes?\b/.test(name);

/** On Citus the statements `store` and `log-events` take its place. */
const isReplaced = (name = '') => /^apply(-one)?$/.test(name);

describe('the statements of the service', () => {
  const isGroupOfLists = ({ name = '' }: { name?: string | undefined }) => name.startsWith('list-');
  const recorded = recording(database, (statement) => (isGroupOfLists(statement) ? notSupported : undefined));
  const seen = () => new Map(recorded.statements.map((statement) => [statement.text, statement]));

  beforeAll(async () => {
    const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret };
    await callRoutes((await startService({ environment, database: recorded.database })).app);
    await runCommands(recorded.database);
  });

  test('are all recorded', () => {
    const names = [...seen().values()].flatMap(({ name }) => name ?? []);
    const folder = new URL('../../src/', import.meta.url);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const source = files.map((file) => readFileSync(new URL(file, folder), 'utf8'));
    const named = [...source.join('\n').matchAll(/name: '([a-z-]+)',\s*(?:text|types)/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name = '') => !names.includes(name) && !isOfFeed(name) && !isReplaced(name))).toEqual([]);
    expect(names.filter(isReplaced)).toEqual([]);
    expect(seen().size).toBeGreaterThan(50);
  });

  test('satisfy the rules of Citus', async () => {
    const wrong: Record<string, string[]> = {};
    for (const { name, text } of [...seen().values()].map(expandShardHints)) {
      if (!/^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)/.test(text) || isGroupOfLists({ name }) || isOfFeed(name)) continue;
      const found = await faults(text, name !== undefined);
      if (found.length > 0) wrong[`${name ?? ''} ${text}`] = found;
    }
    expect(wrong).toEqual({});
  });
});

test('no function takes a whole row of a distributed table or queries one', async () => {
  const rows = await database.query<{ name: string }>({
    text: `SELECT p.proname::text AS name FROM pg_proc AS p JOIN unnest($1::text[]) AS t (name) ON true
      WHERE p.pronamespace = current_schema()::regnamespace
        AND (t.name::regclass = ANY (SELECT y.typrelid FROM pg_type AS y WHERE y.oid = ANY (p.proargtypes))
          OR p.prosrc ~ ('\\m' || t.name || '\\M'))
        -- Those of triggers run no more once the triggers are dropped.
        AND p.prorettype <> 'trigger'::regtype`,
    values: [tables],
  });
  expect(rows).toEqual([]);
});

test('distribute.sql drops every trigger of a distributed table', async () => {
  const rows = await database.query<{ name: string; table: string }>({
    text: `SELECT tgname::text AS name, tgrelid::regclass::text AS table FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY ($1::text[]::regclass[])`,
    values: [tables],
  });
  expect(rows.length).toBeGreaterThan(0);
  for (const { name, table } of rows) expect(script).toContain(`DROP TRIGGER "${name}" ON "${table}";`);
});

/** Statements that Citus sends to the workers as the whole script. A worker refuses several statements at once. */
const sentWithScript = /^\s*(CREATE (UNIQUE )?INDEX|DROP INDEX|ALTER TABLE .*DROP COLUMN)/is;

/**
 * Returns whether Citus refuses a migration of distributed tables. A DO block runs each statement as its own script.
 */
function isRefusedWhole(migration: string): boolean {
  const statements = migration
    .replace(/\$\$.*?\$\$/gs, '')
    .replace(/^\s*--.*$/gm, '')
    .split(';')
    .filter((text) => text.trim() !== '');
  return statements.length > 1 && statements.some((text) => sentWithScript.test(text));
}

test.each([
  ['CREATE INDEX a ON t (x); CREATE INDEX b ON t (y);', true],
  ['ALTER TABLE t ADD COLUMN z TEXT;\n-- Found by z.\nCREATE UNIQUE INDEX c ON t (z);', true],
  ['DROP INDEX a; DROP INDEX b;', true],
  ['ALTER TABLE t ADD COLUMN z TEXT; ALTER TABLE t DROP COLUMN y;', true],
  ['-- Alone.\nCREATE INDEX a ON t (x);', false],
  ['ALTER TABLE t ADD COLUMN z TEXT; ALTER TABLE t ADD COLUMN y TEXT;', false],
  ['ALTER TABLE t ADD COLUMN z TEXT; DO $$ BEGIN CREATE INDEX c ON t (z); DROP INDEX d; END $$;', false],
])('the check of migrations says of %j that Citus refuses it: %s', (migration, isFault) => {
  expect(isRefusedWhole(migration)).toBe(isFault);
});

test('every later migration creates and drops indexes alone or in a DO block', async () => {
  const [init, ...later] = (await readMigrations()).migrationDirectories;
  expect(init?.path).toMatch(/_init$/);
  const atFault = later.filter(({ migrationFile }) => isRefusedWhole(String(migrationFile.content.value)));
  expect(atFault.map(({ path }) => path)).toEqual([]);
});
