import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import type { TestProject } from 'vitest/node';
import { migrate, noFilters, readMigrations, withSchemaEngine } from '../../src/database/engine/migrate.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { databaseUrl, runStatement } from './postgres.js';

/**
 * The databases that each test file copies, because a new one takes seconds: dumps and a DATA_DIR, or a name on
 * PostgreSQL.
 */
export type Template =
  | {
      kind: 'embedded';
      /** Dumps of a migrated and of an empty database. */
      dumps: { migrated: string; empty: string };
      /** A migrated DATA_DIR. */
      dataDirectory: string;
    }
  | { kind: 'postgres'; url: string; name: string };

declare module 'vitest' {
  export interface ProvidedContext {
    template: Template;
  }
}

/** Migrates one database for the whole run. Each test file gets a copy. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const url = process.env.TEST_DATABASE_URL;
  return url ? postgresTemplate(url, provide) : embeddedTemplate(provide);
}

async function postgresTemplate(url: string, provide: TestProject['provide']) {
  const name = `checkout_session_test_${process.pid}`;
  await runStatement(url, `DROP DATABASE IF EXISTS "${name}"`);
  await runStatement(url, `CREATE DATABASE "${name}"`);
  const database = openPostgres({
    url: databaseUrl(url, name),
    poolSize: 1,
    statementTimeout: 10_000,
    preparedStatements: true,
  });
  await migrate(database);
  await database.close();
  provide('template', { kind: 'postgres', url, name });
  return async () => {
    const copies = `SELECT datname FROM pg_database WHERE datname = '${name}' OR starts_with(datname, '${name}_')`;
    for (const { datname } of await runStatement<{ datname: string }>(url, copies)) {
      await runStatement(url, `DROP DATABASE IF EXISTS "${datname}" WITH (FORCE)`);
    }
  };
}

async function embeddedTemplate(provide: TestProject['provide']) {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-test-'));
  const pglite = await PGlite.create();
  const empty = await dump(pglite);
  const migrationsList = await readMigrations();
  await withSchemaEngine(new PrismaPGlite(pglite), (engine) =>
    engine.applyMigrations({ migrationsList, filters: noFilters }),
  );
  const migrated = await dump(pglite);
  await pglite.close();
  const dataDirectory = join(directory, 'data');
  await mkdir(dataDirectory);
  const onDisk = await PGlite.create({ dataDir: join(dataDirectory, 'postgres'), loadDataDir: new Blob([migrated]) });
  await onDisk.close();
  const dumps = { empty: join(directory, 'empty.tar'), migrated: join(directory, 'migrated.tar') };
  await writeFile(dumps.empty, empty);
  await writeFile(dumps.migrated, migrated);
  provide('template', { kind: 'embedded', dumps, dataDirectory });
  return () => rm(directory, { recursive: true, force: true });
}

async function dump(pglite: PGlite): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await pglite.dumpDataDir('none')).arrayBuffer());
}
