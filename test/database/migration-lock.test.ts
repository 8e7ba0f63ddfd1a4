import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { migrate, prismaDirectory } from '../../src/database/engine/migrate.js';
import { operatorMessage } from '../../src/database/engine/sqlstate.js';
import { testDatabase } from '../support/database.js';

const template = inject('template');
const name = '20000101000000_slow';

/** Creates a directory with one migration that takes a second. */
async function slowMigration(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-slow-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const migrations = join(directory, 'migrations');
  await mkdir(join(migrations, name), { recursive: true });
  await cp(join(prismaDirectory, 'migrations/migration_lock.toml'), join(migrations, 'migration_lock.toml'));
  await writeFile(join(migrations, name, 'migration.sql'), 'SELECT pg_sleep(1); CREATE TABLE slow ();');
  return directory;
}

test('migrate waits for a slow migration', async () => {
  expect(await migrate(await testDatabase('empty'), await slowMigration())).toEqual([name]);
});

if (template.kind === 'postgres') {
  const databases = [await testDatabase('empty'), await testDatabase('empty')] as const;

  test.each([
    ['holds the lock', 0, 'SELECT pg_advisory_lock%', /^The database was lost while migrating \(.+\)\. Start again/],
    ['migrates', 1, 'SELECT pg_sleep%', /^The database cannot be migrated: .+ \(20000101000000_slow\)$/],
  ] as const)(
    'losing the connection that %s fails the migration with a one-line message',
    async (_, index, query, expected) => {
      const database = databases[index];
      const outcome = migrate(database, await slowMigration()).catch((error: Error) => error);
      const backends = (text: string, work = 'pid') =>
        database.query({
          text: `SELECT ${work} FROM pg_stat_activity WHERE datname = current_database() AND query LIKE $1`,
          values: [text],
        });
      await expect.poll(() => backends('SELECT pg_sleep%')).toHaveLength(1);
      expect(await backends(query, 'pg_terminate_backend(pid)')).toHaveLength(1);
      const message = operatorMessage(await outcome);
      expect(message).toMatch(expected);
      expect(message).not.toContain('\n');
      // The server notices closed connections only when their statements end.
      await expect.poll(() => backends('%pg_sleep%', '1')).toHaveLength(0);
    },
  );
}
