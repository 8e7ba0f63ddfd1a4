import { setTimeout } from 'node:timers/promises';
import { Problem } from '../../errors.js';
import { type Database, type DatabaseStatus, ping } from './database.js';
import { pendingMigrations } from './migrate.js';
import { databaseProblem } from './sqlstate.js';

/** Milliseconds for all statements of a check. The documented probes of an orchestrator wait three seconds. */
const checkTimeout = 2000;

/**
 * Returns a function that checks that the database answers and has its migrations. It looks for the migrations at first and
 * after each failure. Concurrent calls share one check, because health checks have one connection.
 *
 * @returns the check. It throws a Problem or the database's error when the service cannot serve.
 */
export function healthCheck({ probe }: Database): () => Promise<DatabaseStatus> {
  let isMigrated = false;
  let checkInFlight: Promise<DatabaseStatus> | undefined;

  async function check(): Promise<DatabaseStatus> {
    try {
      if (!isMigrated && (await pendingMigrations({ query: probe })).length > 0) {
        throw new Problem('database-unavailable', { detail: 'The database lacks migrations.' });
      }
      const status = await ping({ probe });
      isMigrated = true;
      return status;
    } catch (error) {
      isMigrated = false;
      // These statements are cheap. A timeout means that a table is locked or the server is overloaded.
      if (databaseProblem(error)?.code !== 'query-timeout') throw error;
      const detail = 'The database did not answer in time: it is overloaded, or its tables are locked.';
      throw new Problem('database-unavailable', { detail, cause: error });
    }
  }

  return () => {
    checkInFlight ??= check().finally(() => {
      checkInFlight = undefined;
    });
    return Promise.race([checkInFlight, failAfterTimeout()]);
  };
}

async function failAfterTimeout(): Promise<never> {
  await setTimeout(checkTimeout, undefined, { ref: false });
  throw new Problem('database-unavailable');
}
