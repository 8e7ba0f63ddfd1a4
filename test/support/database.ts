import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, inject } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { openPGlite } from '../../src/database/engine/embedded.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { administrate, databaseUrl } from './postgres.js';

const template = inject('template');

/** True when the tests run on PostgreSQL, false on the embedded database. */
export const onPostgres = template.kind === 'postgres';

/** Opens a database for one test file, migrated or `empty`. It is closed and removed after the file. */
export async function testDatabase(content: 'migrated' | 'empty' = 'migrated'): Promise<Database> {
  if (template.kind === 'embedded') {
    const dump = await readFile(template.dumps[content]);
    const database = await openPGlite({ loadDataDir: new Blob([dump]) });
    afterAll(() => database.close());
    return database;
  }
  const { database } = await postgresDatabase(template.url, content === 'migrated' ? template.name : 'template0');
  return database;
}

/**
 * Creates a database on the server of TEST_DATABASE_URL. Returns its URL too, for processes a test starts.
 * Called while a file loads, it drops the database after the file. Called inside a test, the run's teardown drops it.
 */
export async function postgresDatabase(server: string, copyOf: string): Promise<{ url: string; database: Database }> {
  if (template.kind !== 'postgres') throw new Error('only PostgreSQL has databases to be copied');
  const name = `${template.name}_${randomBytes(8).toString('hex')}`;
  await administrate(server, `CREATE DATABASE "${name}" TEMPLATE "${copyOf}"`);
  const url = databaseUrl(server, name);
  const database = openPostgres({ url, poolSize: 10, statementTimeout: 10_000, preparedStatements: true });
  afterAll(async () => {
    await database.close();
    await administrate(server, `DROP DATABASE "${name}" WITH (FORCE)`);
  });
  return { url, database };
}

/** Copies a migrated DATA_DIR of the embedded database. The caller removes it. */
export async function seededDirectory(): Promise<string> {
  if (template.kind !== 'embedded') throw new Error('only the embedded database has a DATA_DIR');
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-data-'));
  await cp(template.dataDirectory, directory, { recursive: true });
  return directory;
}
