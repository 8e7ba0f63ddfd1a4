import type { Config } from '../config.js';
import type { Database } from './database.js';

/** Opens the database that the configuration names. Each driver is loaded only when it is the one. */
export async function openDatabase(config: Config, onIdleError?: (error: Error) => void): Promise<Database> {
  if (config.DATABASE_URL === undefined) {
    const { openEmbedded } = await import('./embedded.js');
    return openEmbedded(config.DATA_DIR);
  }
  const { openPostgres } = await import('./postgres.js');
  return openPostgres({
    url: config.DATABASE_URL,
    directUrl: config.DATABASE_DIRECT_URL,
    poolSize: config.DATABASE_POOL_SIZE,
    statementTimeout: config.DATABASE_STATEMENT_TIMEOUT_MS,
    preparedStatements: config.DATABASE_PREPARED_STATEMENTS,
    ...(onIdleError && { onIdleError }),
  });
}
