import { setTimeout } from 'node:timers/promises';
import { Problem } from '../../errors.js';
import { type Database, type DatabaseStatus, ping } from './database.js';
import { pendingMigrations } from './migrate.js';
import { databaseProblem } from './sqlstate.js';

/** Milliseconds for all statements of a check: less than the three seconds that orchestrators are told to wait. */
const limit = 2000;

/**
 * Returns the check that the database answers and has its migrations, which are looked for again only after a failure.
 * Checks that are asked for at the same time share one: they have one connection.
 *
 * @returns the check. It throws the reason why the service cannot serve.
 */
export function healthCheck({ probe }: Database): () => Promise<DatabaseStatus> {
  let isMigrated = false;
  let current: Promise<DatabaseStatus> | undefined;

  async function check(): Promise<DatabaseStatus> {
    try {
      if (!isMigrated && (await pendingMigrations({ query: probe })).length > 0) {
        throw new Problem('database-unavailable', { detail: 'The database lacks migrations.' });
      }
      const condition = await ping({ probe });
      isMigrated = true;
      return condition;
    } catch (error) {
      isMigrated = false;
      // A timeout here is no query's fault: the table is locked, or the server does not come to it.
      if (databaseProblem(error)?.code !== 'query-timeout') throw error;
      const detail = 'The database did not answer in time: it is overloaded, or its tables are locked.';
      throw new Problem('database-unavailable', { detail, cause: error });
    }
  }

  return () => {
    current ??= check().finally(() => {
      current = undefined;
    });
    return Promise.race([current, late()]);
  };
}

async function late(): Promise<never> {
  await setTimeout(limit, undefined, { ref: false });
  throw new Problem('database-unavailable');
}
