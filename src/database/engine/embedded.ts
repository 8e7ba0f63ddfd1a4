import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import type { Database, Statement } from './database.js';
import { lockDirectory } from './directory-lock.js';

/** Returns whether a folder holds an embedded database. */
export function isEmbeddedDatabase(directory: string): boolean {
  return existsSync(join(directory, 'postgres', 'PG_VERSION'));
}

/**
 * Opens the embedded database: PostgreSQL compiled to WebAssembly, which runs in this process and keeps its data in a folder.
 *
 * @throws DirectoryInUse when another process has the folder open. Each process holds the whole database in its memory.
 */
export async function openEmbedded(directory: string): Promise<Database> {
  await mkdir(directory, { recursive: true });
  const unlock = await lockDirectory(directory);
  try {
    const database = await openPGlite({ dataDir: join(directory, 'postgres') });
    const close = async () => {
      await database.close();
      await unlock();
    };
    return { ...database, description: `the embedded database in ${directory}`, close };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Opens PGlite on a folder, in memory, or from a dump. */
export async function openPGlite(options: PGliteOptions): Promise<Database> {
  const pglite = await PGlite.create(options);
  const adapter = new MigrationAdapter(pglite);
  const queryOn =
    (connection: Pick<PGlite, 'query'>): Database['query'] =>
    async <Row>({ text, values }: Statement) => {
      const { rows } = await connection.query(text, [...values]);
      return rows as Row[];
    };
  return {
    description: 'an embedded database in memory',
    query: queryOn(pglite),
    probe: queryOn(pglite),
    transaction: (work) => pglite.transaction((transaction) => work(queryOn(transaction as unknown as PGlite))),
    withMigrationAdapter: (work) => work(adapter),
    close: () => pglite.close(),
  };
}

/** Prisma's adapter, except that executeScript waits for the script. The original reports a failed script as done (0.7). */
class MigrationAdapter extends PrismaPGlite {
  readonly #pglite: PGlite;

  constructor(pglite: PGlite) {
    super(pglite);
    this.#pglite = pglite;
  }

  override async connect() {
    const adapter = await super.connect();
    adapter.executeScript = async (script) => {
      await this.#pglite.exec(script);
    };
    return adapter;
  }
}
