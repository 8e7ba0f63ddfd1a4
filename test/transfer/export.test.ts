import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { openEmbedded } from '../../src/database/engine/embedded.js';
import { migrate } from '../../src/database/engine/migrate.js';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { expectSession } from '../support/contract.js';
import { processDatabase } from '../support/database.js';
import { runWarmCommand as run, runCommandLine } from '../support/process.js';
import { rawEvent, rawSession } from '../support/stripe.js';
import { totalsOf } from './support.js';

const onPostgres = inject('template').kind === 'postgres';
const source = await processDatabase();
const target = await processDatabase();
const directory = await mkdtemp(join(tmpdir(), 'checkout-session-transfer-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Writes sessions of every kind, changed and deleted ones, events, and the progress of a command. */
async function fill(database: Database): Promise<void> {
  await migrate(database);
  const config = { STRIPE_LIVEMODE: 'both', STRIPE_ACCOUNT_ID: 'acct_1' };
  const ingest = createIngest(mirrorStore(database), config, pino({ level: 'silent' }));
  const sessions = sessionStore(database);
  const noPreconditions = { match: undefined, noneMatch: undefined };
  for (let number = 1; number <= 12; number += 1) {
    const id = `cs_test_${number}`;
    await ingest.event(rawEvent(rawSession({ id, metadata: { 'e\u2028": \\': 'ü\n' } }), { id: `evt_${number}` }));
    if (number % 3 === 0) await sessions.patch(id, [], noPreconditions);
    if (number % 4 === 0) await sessions.remove(id, noPreconditions);
  }
  await sessions.remove('cs_test_11', noPreconditions);
  await database.query({
    text: `INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, payment_method_types,
        djstripe_created, created, metadata, version, description)
      VALUES ('cs_test_exact', 'auto', 'setup', 'auto', '{}', '0044-03-15T12:00:00.000001Z', '9999-12-31T23:59:59.999999Z',
        '{"n": 12345678901234567890.10, "b": null, "a": [1.0]}', 77, ''),
        ('cs_test_late', 'auto', 'setup', 'auto', '{}', now(), NULL, NULL, 1, NULL)`,
    values: [],
  });
  await database.query({ text: `DELETE FROM checkout_session WHERE id = 'cs_test_late'`, values: [] });
  await database.query({ text: `INSERT INTO stripe_progress (task, state) VALUES ('t', '{"a": 1}')`, values: [] });
}

async function tags(database: Database): Promise<unknown[]> {
  const text = `SELECT id, djstripe_id || '-' || version AS tag, document FROM checkout_session ORDER BY id`;
  return database.query({ text, values: [] });
}

test('a full export has every column of every table', async () => {
  await source.use(fill);
  const { stdout } = await run('export', ['--full'], source.environment);
  const exported: Record<string, unknown>[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const tables = { session: 'checkout_session', event: 'stripe_event', progress: 'stripe_progress' };
  const columns = await source.use((database) =>
    database.query<{ name: string; of: string }>({
      text: `SELECT column_name AS name, table_name AS of FROM information_schema.columns
        WHERE table_name = ANY($1) AND is_generated = 'NEVER'`,
      values: [Object.values(tables)],
    }),
  );
  for (const [kind, table] of Object.entries(tables)) {
    const names = columns.flatMap(({ of, name }) => (of === table && name !== 'deleted_at' ? [name] : []));
    const ofKind = exported.filter((line) => line.kind === kind);
    expect(ofKind.length).toBeGreaterThan(0);
    for (const line of ofKind) expect(Object.keys(line).sort()).toEqual(['kind', ...names].sort());
  }
  const tombstones = exported.filter(({ kind }) => kind === 'tombstone');
  expect(tombstones.length).toBeGreaterThan(0);
  for (const line of tombstones) expect(Object.keys(line)).toEqual(['kind', 'id', 'deleted_at']);
});

test('a full export imported into an empty database exports to the same bytes', async () => {
  const first = await runCommandLine('export', ['--full'], source.environment);
  expect(first).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^Exported 9 sessions, 4 tombstones, 12 events\.$/m),
  });
  const imported = await run('import', ['-'], target.environment, first.stdout);
  expect(imported.code).toBe(0);
  expect(totalsOf(imported)).toMatchObject({ read: 27, applied: 27 });
  expect((await run('export', ['--full'], target.environment)).stdout).toBe(first.stdout);
  expect(await target.use(tags)).toEqual(await source.use(tags));

  const again = await run('import', ['-'], target.environment, first.stdout);
  expect(totalsOf(again)).toMatchObject({ applied: 0, unchanged: 27 });
  expect((await run('export', ['--full'], target.environment)).stdout).toBe(first.stdout);
});

test("an export in the contract's shape has a valid session on every line", async () => {
  const { code, stdout } = await run('export', [], source.environment);
  expect(code).toBe(0);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(9);
  for (const line of lines) expectSession(JSON.parse(line));
});

test('export to a file it cannot write exits with 2', async () => {
  const exit = await run('export', ['--output', join(directory, 'no', 'file')], source.environment);
  expect(exit.code).toBe(2);
  expect(exit.stderr).toContain('The file cannot be written');
});

if (onPostgres) {
  const moved = await processDatabase();

  test('an export of the embedded database moves to PostgreSQL byte for byte', async () => {
    const DATA_DIR = join(directory, 'data');
    const embedded = await openEmbedded(DATA_DIR);
    await fill(embedded);
    const before = await tags(embedded);
    await embedded.close();
    const { stdout } = await run('export', ['--full'], { DATA_DIR });
    expect(totalsOf(await run('import', ['-'], moved.environment, stdout))).toMatchObject({ applied: 27 });
    expect((await run('export', ['--full'], moved.environment)).stdout).toBe(stdout);
    expect(await moved.use(tags)).toEqual(before);
  });
}
