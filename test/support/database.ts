import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, inject } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { openEmbedded, openPGlite } from '../../src/database/engine/embedded.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { databaseUrl, runStatement } from './postgres.js';

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
  await runStatement(server, `CREATE DATABASE "${name}" TEMPLATE "${copyOf}"`);
  const url = databaseUrl(server, name);
  const database = openPostgres({ url, poolSize: 10, statementTimeout: 10_000, preparedStatements: true });
  afterAll(async () => {
    await database.close();
    await runStatement(server, `DROP DATABASE "${name}" WITH (FORCE)`);
  });
  return { url, database };
}

/** Copies a migrated DATA_DIR. The caller removes it. */
async function migratedDirectory(template: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-data-'));
  await cp(template, directory, { recursive: true });
  return directory;
}

/** A database for commands that run in their own processes. Tests open it between commands with `use`. */
export interface ProcessDatabase {
  environment: Record<string, string>;
  use<Result>(work: (database: Database) => Promise<Result>): Promise<Result>;
}

/** Creates a database for the commands of one test file, migrated or `empty`. It is removed after the file. */
export async function processDatabase(content: 'migrated' | 'empty' = 'migrated'): Promise<ProcessDatabase> {
  if (template.kind === 'postgres') {
    const { url, database } = await postgresDatabase(
      template.url,
      content === 'migrated' ? template.name : 'template0',
    );
    return { environment: { DATABASE_URL: url }, use: (work) => work(database) };
  }
  const DATA_DIR = content === 'migrated' ? await migratedDirectory(template.dataDirectory) : await emptyDirectory();
  afterAll(() => rm(DATA_DIR, { recursive: true, force: true }));
  return {
    environment: { DATA_DIR },
    async use(work) {
      const database = await openEmbedded(DATA_DIR);
      try {
        return await work(database);
      } finally {
        await database.close();
      }
    },
  };
}

/** Creates a DATA_DIR that holds an unmigrated database. */
async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-data-'));
  await (await openEmbedded(directory)).close();
  return directory;
}
