import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseSecondsOption } from '../src/cli/command.js';
import { onPostgres, processDatabase } from './support/database.js';
import { type Exit, runWarmCommand as run } from './support/process.js';

/** Behaviour that all commands share. */

const empty = await processDatabase('empty');
const STRIPE_API_KEYS = 'sk_test_commands';

const readOnly: [string, ...string[]][] = [
  ['export'],
  ['backfill', '--dry-run'],
  ['erase', '--customer', 'cus_1', '--dry-run'],
];

/** Expects a command to have been refused with one line on standard error and nothing else. */
function expectRefused({ code, stdout, stderr }: Exit, status: number, ...words: string[]): void {
  for (const word of words) expect(stderr).toContain(word);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stdout).toBe('');
  expect(code).toBe(status);
}

/** Expects the database to be as empty as it was created. */
function expectUntouched(): Promise<void> {
  return empty.use(async (database) => {
    const text = `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace`;
    expect(await database.query({ text, values: [] })).toEqual([]);
  });
}

test.each(readOnly)('%s refuses a database that lacks migrations and does not migrate it', async (command, ...args) => {
  const exit = await run(command, args, { ...empty.environment, STRIPE_API_KEYS });
  expectRefused(exit, 1, 'lacks', 'changes nothing', 'npm run migrate');
  await expectUntouched();
});

test('with MIGRATE_ON_START=false a writing command does not migrate', async () => {
  const environment = { ...empty.environment, STRIPE_API_KEYS, MIGRATE_ON_START: 'false' };
  expectRefused(await run('backfill', [], environment), 1, 'lacks', 'MIGRATE_ON_START', 'npm run migrate');
  await expectUntouched();
});

test.each([
  ['--since', '5'],
  ['--until', '2026-02-30'],
])('%s %s is refused with one line that names the expected format', async (option, time) => {
  const exit = await run('backfill', [option, time], { ...empty.environment, STRIPE_API_KEYS });
  expectRefused(exit, 2, option, JSON.stringify(time), 'date', 'RFC 3339');
  await expectUntouched();
});

test.each(['5', '2026-02-30', '2026-13-01', '2026-01-31T25:00:00Z', '2026-1-31', 'yesterday', ''])(
  'the time %j is refused',
  (text) => expect(() => parseSecondsOption('since', text)).toThrow('--since'),
);

test.each([
  ['2026-01-31', '2026-01-31T00:00:00Z'],
  ['2026-01-31T12:00:00.9+02:00', '2026-01-31T10:00:00Z'],
])('%s is read as the second of %s', (text, time) =>
  expect(parseSecondsOption('since', text)).toBe(Date.parse(time) / 1000),
);

test.each([
  ['backfill', '--since', '2026-02-01', '--until', '2026-02-01T01:00:00+01:00'],
  ['erase', '--dry-run'],
  ['erase', '--email', ''],
])('%s %s is refused before the database is touched', async (command, ...args) => {
  const exit = await run(command, args, { ...empty.environment, STRIPE_API_KEYS });
  expectRefused(exit, 2, '--');
  await expectUntouched();
});

if (!onPostgres) {
  test.each(readOnly)('%s does not create a missing DATA_DIR', async (command, ...args) => {
    const DATA_DIR = join(tmpdir(), 'checkout-session-absent', command);
    expectRefused(await run(command, args, { DATA_DIR, STRIPE_API_KEYS }), 1, DATA_DIR, 'no database');
    expect(existsSync(DATA_DIR)).toBe(false);
  });
}
