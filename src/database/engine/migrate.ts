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

/** `prisma/`, beside `src/` and `dist/` alike. */
export const prismaDirectory = fileURLToPath(new URL('../../../prisma/', import.meta.url));

/**
 * Brings the database up to the migrations of a folder, with Prisma's own engine and its own
 * `_prisma_migrations` table. Safe when several processes start at once.
 *
 * @param directory the folder that has `migrations/` in it.
 * @returns the names of the migrations that were applied now.
 * @throws when one fails: nothing must run on a half-migrated database.
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
 * The migrations of the folder that the database does not have yet, or has half of. Spares a start the
 * loading of the schema engine when there is none; migrations of a newer release are no concern.
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
 * Requires a database that has all migrations of this release.
 *
 * @param reason why they are not applied now, for the message.
 * @throws OperatorError when it lacks one.
 */
export async function requireMigrations(database: Database, reason: string): Promise<void> {
  const pending = await pendingMigrations(database);
  if (pending.length === 0) return;
  const count = pending.length === 1 ? `the migration ${pending[0]}` : `${pending.length} migrations`;
  throw new OperatorError(`The database lacks ${count}, and ${reason}: run npm run migrate.`);
}

/** Runs work with the schema engine on an adapter's database. */
export async function withSchemaEngine<Result>(
  adapter: SqlMigrationAwareDriverAdapterFactory,
  work: (engine: SchemaEngine) => Promise<Result>,
): Promise<Result> {
  loading ??= loadSchemaEngine();
  const { SchemaEngine } = await loading;
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
 * Returns what failed in the engine, in one line. The engine's message has a stack of WebAssembly below it, and in place of
 * an error of the adapter only the error's number.
 */
function engineMessage({ message }: Error, errors: ErrorRegistry): string {
  const number = /External error id#(\d+)/.exec(message)?.[1];
  const external = number && errors.consumeError(Number(number))?.error;
  const [migration] = /(?<=migration_name=")[^"]+/.exec(message) ?? [];
  const [text = ''] = message.split(/^ +0: /m);
  const reason = external instanceof Error ? external.message : text.trim().replace(/\s*\n\s*/g, ' ');
  return `The database cannot be migrated: ${reason}${migration ? ` (${migration})` : ''}`;
}

// TypeScript knows WebAssembly only together with a browser's globals.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, () => void> } }>;
};

type Bindings = typeof import('@prisma/schema-engine-wasm/schema_engine_bg') & {
  __wbg_set_wasm(exports: object): void;
};

/** Once per process: its JavaScript keeps views of the first instance's memory. */
let loading: Promise<Bindings> | undefined;

/** Instantiates the engine by hand: Node 20 and 22 cannot import `.wasm`, which its own entry point does. */
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

export const noFilters = { externalTables: [], externalEnums: [] };

async function migrationNames(directory: string): Promise<string[]> {
  const entries = await readdir(`${directory}/migrations`, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The migrations of a folder as the schema engine takes them. */
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
