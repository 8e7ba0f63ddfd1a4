import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import {
  bindMigrationAwareSqlAdapterFactory,
  type ErrorRegistry,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import { OperatorError } from '../../errors.js';
import type { Database } from './database.js';

/** The folder `prisma/`. It stands beside both `src/` and `dist/`, so the same relative path leads there. */
export const prismaDirectory = fileURLToPath(new URL('../../../prisma/', import.meta.url));

/**
 * Applies the pending migrations of a folder with Prisma's schema engine, which records them in `_prisma_migrations`. Several
 * processes may call it at the same time.
 *
 * @param directory the folder that contains `migrations/`.
 * @returns the names of the applied migrations.
 * @throws OperatorError when a migration fails. Nothing must run on a half-migrated database.
 */
export async function migrate(database: Database, directory = prismaDirectory): Promise<string[]> {
  if ((await pendingMigrations(database, directory)).length === 0) return [];
  const migrationsList = await readMigrations(directory);
  return database.withMigrationAdapter((adapter) =>
    withSchemaEngine(adapter, async (engine) => {
      const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: noFilters });
      return appliedMigrationNames;
    }),
  );
}

/**
 * Returns the names of the migrations that the database lacks, and of those that failed in it. This query spares most starts
 * the loading of the schema engine. It ignores migrations of a newer release.
 */
export async function pendingMigrations(
  database: Pick<Database, 'query'>,
  directory = prismaDirectory,
): Promise<string[]> {
  const names = await migrationNames(directory);
  const [table] = await database.query<{ found: boolean }>({
    text: `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`,
    values: [],
  });
  if (!table?.found) return names;
  const rows = await database.query<{ name: string; finished: boolean }>({
    text: `SELECT migration_name AS name, finished_at IS NOT NULL AS finished
      FROM _prisma_migrations WHERE rolled_back_at IS NULL`,
    values: [],
  });
  const finished = new Set(rows.filter((row) => row.finished).map((row) => row.name));
  const failed = rows.filter((row) => !row.finished).map((row) => row.name);
  return [...names.filter((name) => !finished.has(name)), ...failed];
}

/**
 * Checks that the database has all migrations of this release.
 *
 * @param reason the reason why they are not applied now, for the message.
 * @throws OperatorError when the database lacks a migration.
 */
export async function requireMigrations(database: Database, reason: string): Promise<void> {
  const pending = await pendingMigrations(database);
  if (pending.length === 0) return;
  const count = pending.length === 1 ? `the migration ${pending[0]}` : `${pending.length} migrations`;
  throw new OperatorError(`The database lacks ${count}, and ${reason}: run npm run migrate.`);
}

/**
 * Runs work with the schema engine on the database of an adapter.
 *
 * @throws OperatorError with the failure in one line.
 */
export async function withSchemaEngine<Result>(
  adapter: SqlMigrationAwareDriverAdapterFactory,
  work: (engine: SchemaEngine) => Promise<Result>,
): Promise<Result> {
  engineBindings ??= loadSchemaEngine();
  const { SchemaEngine } = await engineBindings;
  const datamodel: [string, string] = ['schema.prisma', await readFile(`${prismaDirectory}/schema.prisma`, 'utf8')];
  const bound = bindMigrationAwareSqlAdapterFactory(adapter);
  try {
    const engine = await SchemaEngine.new({ datamodels: [datamodel] }, () => {}, bound);
    try {
      return await work(engine);
    } finally {
      engine.free();
    }
  } catch (error) {
    throw new OperatorError(engineMessage(error as Error, bound.errorRegistry), { cause: error });
  }
}

/**
 * Returns the failure of the schema engine in one line. Below the engine's message stands a WebAssembly stack. For an error of
 * the adapter the message holds only a number, under which the registry has the error.
 */
function engineMessage({ message }: Error, errors: ErrorRegistry): string {
  const number = /External error id#(\d+)/.exec(message)?.[1];
  const external = number && errors.consumeError(Number(number))?.error;
  const [migration] = /(?<=migration_name=")[^"]+/.exec(message) ?? [];
  const [text = ''] = message.split(/^ +0: /m);
  const reason = external instanceof Error ? external.message : text.trim().replace(/\s*\n\s*/g, ' ');
  return `The database cannot be migrated: ${reason}${migration ? ` (${migration})` : ''}`;
}

// TypeScript declares WebAssembly only in its library "dom", with all globals of a browser.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, () => void> } }>;
};

type Bindings = typeof import('@prisma/schema-engine-wasm/schema_engine_bg') & {
  __wbg_set_wasm(exports: object): void;
};

/** Loaded once per process: the engine's JavaScript keeps views of the memory of its first instance. */
let engineBindings: Promise<Bindings> | undefined;

/** Instantiates the schema engine. The package's own entry point imports `.wasm`, which Node 20 and 22 cannot do. */
async function loadSchemaEngine(): Promise<Bindings> {
  const name = '@prisma/schema-engine-wasm/schema_engine_bg';
  const bindings = (await import(name)) as Bindings;
  const path = createRequire(import.meta.url)
    .resolve(name)
    .replace(/\.js$/, '.wasm');
  const { instance } = await WebAssembly.instantiate(await readFile(path), { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  return bindings;
}

/** Filters of the schema engine that exclude no table and no enum. */
export const noFilters = { externalTables: [], externalEnums: [] };

async function migrationNames(directory: string): Promise<string[]> {
  const entries = await readdir(`${directory}/migrations`, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Reads the migrations of a folder into the schema engine's input. */
export async function readMigrations(directory = prismaDirectory): Promise<MigrationList> {
  const baseDir = `${directory}/migrations`;
  const names = await migrationNames(directory);
  const lockfile = 'migration_lock.toml';
  return {
    baseDir,
    lockfile: { path: lockfile, content: await readFile(`${baseDir}/${lockfile}`, 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: await readFile(`${baseDir}/${path}/migration.sql`, 'utf8') },
        },
      })),
    ),
  };
}
