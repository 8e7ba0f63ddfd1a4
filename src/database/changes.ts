import type { Position } from '../model/changes.js';
import { type ChangePage, changeStampSql, type PageOptions, readChanges } from './change-page.js';
import { changeSequence } from './columns.js';
import { sessionDistribution } from './engine/citus.js';
import type { Database } from './engine/database.js';
import { removeOldChanges } from './retention.js';

/** Reads the log of changes. Triggers fill it (see the migration). */

/**
 * Returns the horizon of the log.
 *
 * Transactions draw numbers from a sequence in one order and commit in another. A reader that asks for `seq > $1` would miss a
 * lower number that commits later. So each writer takes an advisory lock before it draws its first number, and holds it until
 * its commit is visible. The key of the lock is the last number drawn before. The horizon is the number before the first that
 * an open writer may use: up to it the log is settled.
 *
 * Read the rows in a *later* statement. The snapshot of this statement may be older than the horizon that it returns.
 */
const horizonSql = 'SELECT checkout_session_change_horizon()::float8 AS horizon';

/** The delay of readers behind writers. */
export interface ReaderDelay {
  /** Number of changes that are logged and not settled. */
  readonly lag: number;
  /** Age in seconds of the oldest open transaction with such changes. Null if the role may not see that transaction. */
  readonly oldest: number | null;
}

/**
 * Reads the delay of readers: first the sequence, then the horizon. A writer that starts between the two can make the lag too
 * small, but not too large.
 */
const delaySql = `SELECT (coalesce(pg_sequence_last_value('${changeSequence}'), 0)
      - checkout_session_change_horizon())::float8 AS lag,
    (SELECT CASE WHEN count(*) = 0 THEN 0 ELSE extract(epoch FROM clock_timestamp() - min(a.xact_start)) END
      FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
      WHERE l.locktype = 'advisory' AND l.classid = 1667786855 AND l.objsubid = 2
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS oldest`;

export type ChangeStore = ReturnType<typeof changeStore>;

/** Reads the log of changes, and removes its old end. */
export function changeStore(database: Database) {
  async function horizon(): Promise<number> {
    const [row] = await database.query<{ horizon: number }>({ name: 'change-horizon', text: horizonSql, values: [] });
    return row?.horizon ?? 0;
  }

  return {
    /** Returns whether Citus distributes the sessions. A distributed table has no triggers, so its log is empty. */
    isDistributed: sessionDistribution(database),

    /** Returns the number up to which the log is settled. */
    horizon,

    /** Returns the position before the oldest change in the log. */
    async start(): Promise<Position> {
      const text = 'SELECT seq::float8 AS seq FROM checkout_session_change_floor';
      const [row] = await database.query<{ seq: number }>({ name: 'change-floor', text, values: [] });
      return { seq: row?.seq ?? 0, stamp: 0 };
    },

    /** Returns the position of the last change up to a horizon, or undefined if the log is empty. */
    async last(horizon: number): Promise<Position | undefined> {
      const text = `SELECT c.seq::float8 AS seq, ${changeStampSql('c')}::float8 AS stamp FROM checkout_session_change AS c
        WHERE c.seq <= $1::bigint ORDER BY c.seq DESC LIMIT 1`;
      const [row] = await database.query<Position>({ name: 'change-last', text, values: [horizon] });
      return row;
    },

    /**
     * Reads the changes after a position. Returns undefined if the log does not know the position: the retention has removed it,
     * or a restored backup never had it.
     */
    read: (after: Position, options: PageOptions): Promise<ChangePage | undefined> =>
      readChanges(database, after, options),

    /** Returns the delay of readers behind writers. */
    async delay(): Promise<ReaderDelay> {
      const [row] = await database.query<ReaderDelay>({ name: 'change-delay', text: delaySql, values: [] });
      return row ?? { lag: 0, oldest: 0 };
    },

    /**
     * Removes the changes that are older than `days` days, in batches. Stops after the current batch when the signal aborts.
     *
     * @returns the number of removed changes.
     */
    removeOld: (days: number, signal?: AbortSignal): Promise<number> =>
      removeOldChanges(database, horizon, days, signal),
  };
}

/** Sets the source for the rest of the transaction. The triggers read this setting. */
const setImportSource = { text: `SELECT set_config('change_feed.source', 'import', true)`, values: [] };

/** Returns a database whose changes have the source `import` in the log. Each statement runs in a transaction that sets it. */
export function asImport(database: Database): Database {
  const transaction: Database['transaction'] = (work) =>
    database.transaction(async (query) => {
      await query(setImportSource);
      return work(query);
    });
  return { ...database, transaction, query: (statement) => transaction((query) => query(statement)) };
}
