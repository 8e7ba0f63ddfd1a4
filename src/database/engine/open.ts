import type { Config } from '../../config.js';
import { OperatorError } from '../../errors.js';
import type { Database } from './database.js';

interface OpenOptions {
  onIdleError?: (error: Error) => void;
  onWorkerFailure?: (error: Error) => void;
  /** Whether to fail if there is no embedded database, instead of creating one. */
  mustExist?: boolean;
}

/** Opens the database that the configuration names, and loads only the driver of that database. */
export async function openDatabase(config: Config, { mustExist, ...listeners }: OpenOptions = {}): Promise<Database> {
  if (config.DATABASE_URL === undefined) {
    const { isEmbeddedDatabase, openEmbedded } = await import('./embedded.js');
    if (mustExist && !isEmbeddedDatabase(config.DATA_DIR)) {
      throw new OperatorError(`There is no database in DATA_DIR ${config.DATA_DIR}. See DATABASE_URL and DATA_DIR.`);
    }
    return openEmbedded(config.DATA_DIR);
  }
  const { openPostgres } = await import('./postgres.js');
  return openPostgres({
    url: config.DATABASE_URL,
    directUrl: config.DATABASE_DIRECT_URL,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeout: config.DATABASE_STATEMENT_TIMEOUT_MS,
    preparedStatements: config.DATABASE_PREPARED_STATEMENTS,
    ...listeners,
  });
}
