import { afterAll, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { migrate, pendingMigrations } from '../../src/database/engine/migrate.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { postgresDatabase, testDatabase } from '../support/database.js';
import { runStatement } from '../support/postgres.js';

const template = inject('template');

async function expectNothingPrepared(database: Database): Promise<void> {
  await database.query({ name: 'one', text: 'SELECT 1', values: [] });
  expect(await database.query({ text: 'SELECT name FROM pg_prepared_statements', values: [] })).toEqual([]);
}

if (template.kind === 'embedded') {
  test('the embedded database prepares no named statement', async () => {
    await expectNothingPrepared(await testDatabase());
  });
} else {
  // Behind a pooler, the statement timeout is a setting of the role or database.
  const { url, database } = await postgresDatabase(template.url, 'template0');
  await runStatement(template.url, `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET statement_timeout = '20ms'`);
  const pooled = openPostgres({ url, poolSize: 1, statementTimeout: 9000, preparedStatements: false });
  afterAll(() => pooled.close());

  test("migrations run without the server's statement timeout", async () => {
    await database.withMigrationAdapter(async (adapter) => {
      const connection = await adapter.connect();
      await connection.executeScript('SELECT pg_sleep(0.1)');
      await connection.dispose();
    });
    await migrate(database);
    expect(await pendingMigrations(database)).toEqual([]);
  });

  test("statements through a pooler keep the server's timeout, because a pooler accepts no settings", async () => {
    await expect(pooled.query({ text: 'SELECT pg_sleep(0.1)', values: [] })).rejects.toMatchObject({ code: '57014' });
  });

  test('with preparedStatements false no statement is prepared', async () => {
    await expectNothingPrepared(pooled);
  });
}
