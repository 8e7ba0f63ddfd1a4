import { setTimeout } from 'node:timers/promises';
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { mayBecomeReachable } from './sqlstate.js';

/** One SQL statement with its parameters; with a name it is prepared once per connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /** Milliseconds to wait for a lock, on PostgreSQL. Without it the statement timeout bounds the wait. */
  readonly lockTimeout?: number | undefined;
  /** The ids of the sessions that it is about. Citus reads their shards alone. */
  readonly ids?: readonly string[];
}

/** What the database can do at this moment. */
export interface DatabaseStatus {
  /** Whether it takes writes. A standby does not, nor does a database that is set to read only. */
  readonly writable: boolean;
}

/**
 * Asks whether the database answers, has the tables, and takes writes. On a standby every transaction is read only. Reads no
 * row: on Citus it asks no worker, as all sessions of the others are served while one is away.
 */
export async function ping({ probe }: Pick<Database, 'probe'>): Promise<DatabaseStatus> {
  const [condition] = await probe<DatabaseStatus>({
    text: `SELECT current_setting('transaction_read_only') = 'off' AS writable
      WHERE NOT EXISTS (SELECT FROM checkout_session WHERE false)`,
    values: [],
  });
  return condition as DatabaseStatus;
}

const firstPause = 250;
const longestPause = 5000;

export interface WaitOptions {
  /** Milliseconds. */
  readonly timeout: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Told of each attempt that failed, and after how many milliseconds the next is. */
  readonly onUnreachable: (error: unknown, pause: number) => void;
}

/**
 * Waits for a database that is not there yet, as one that starts beside the service may not be.
 *
 * @throws what the last attempt failed with, or at once what waiting does not mend.
 */
export async function waitUntilReachable(
  database: Database,
  { timeout, signal, onUnreachable }: WaitOptions,
): Promise<void> {
  const end = Date.now() + timeout;
  for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      await database.query({ text: 'SELECT 1', values: [] });
      return;
    } catch (error) {
      if (!mayBecomeReachable(error) || Date.now() + pause > end) throw error;
      onUnreachable(error, pause);
      await setTimeout(pause, undefined, { signal });
    }
  }
}

/** Connections to the database, at this moment. */
export interface PoolUsage {
  readonly limit: number;
  readonly size: number;
  readonly idle: number;
  /** Statements that wait for one. */
  readonly waiting: number;
}

/** What the service asks of a database, PostgreSQL and the embedded one alike. */
export interface Database {
  /** For people: where the data is, without credentials. */
  readonly description: string;
  /** Runs one statement and commits it. What fails carries PostgreSQL's SQLSTATE or the driver's code. */
  query<Row>(statement: Statement): Promise<Row[]>;
  /**
   * Runs a statement of the health checks, on a connection of their own: statements of requests may hold all others for
   * seconds. Fails after about a second where the database does not answer.
   */
  readonly probe: Database['query'];
  /** Runs several statements as one: all committed when it resolves, or none. */
  transaction<Result>(work: (query: Database['query']) => Promise<Result>): Promise<Result>;
  /**
   * Runs work with what the schema engine needs: an adapter on a connection of its own. Only one process
   * at a time is inside.
   */
  withMigrationAdapter<Result>(
    work: (adapter: SqlMigrationAwareDriverAdapterFactory) => Promise<Result>,
  ): Promise<Result>;
  /** Where there are connections, what they do. */
  readonly pool?: () => PoolUsage;
  /** Where there may be workers of Citus, the statements that failed with one. */
  readonly workerFailures?: () => number;
  /** Waits for what is running, then lets go of every connection, file and lock. */
  close(): Promise<void>;
}
