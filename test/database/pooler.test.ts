import { afterAll, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { migrate, pendingMigrations } from '../../src/database/engine/migrate.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { postgresDatabase, testDatabase } from '../support/database.js';
import { administrate } from '../support/postgres.js';

const template = inject('template');

async function expectNothingPrepared(database: Database): Promise<void> {
  await database.query({ name: 'one', text: 'SELECT 1', values: [] });
  expect(await database.query({ text: 'SELECT name FROM pg_prepared_statements', values: [] })).toEqual([]);
}

if (template.kind === 'embedded') {
  test('nothing is prepared on the one connection of the embedded database', async () => {
    await expectNothingPrepared(await testDatabase());
  });
} else {
  // Behind a pooler the timeout is a setting of the role or of the database.
  const { url, database } = await postgresDatabase(template.url, 'template0');
  await administrate(template.url, `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET statement_timeout = '20ms'`);
  const pooled = openPostgres({ url, poolSize: 1, statementTimeout: 9000, preparedStatements: false });
  afterAll(() => pooled.close());

  test("migrations are not under the server's statement timeout", async () => {
    await database.withMigrationAdapter(async (adapter) => {
      const connection = await adapter.connect();
      await connection.executeScript('SELECT pg_sleep(0.1)');
      await connection.dispose();
    });
    await migrate(database);
    expect(await pendingMigrations(database)).toEqual([]);
  });

  test('what goes through a pooler is under it, as a pooler takes no settings', async () => {
    await expect(pooled.query({ text: 'SELECT pg_sleep(0.1)', values: [] })).rejects.toMatchObject({ code: '57014' });
  });

  test('nothing is prepared on a connection that is not ours', async () => {
    await expectNothingPrepared(pooled);
  });
}
