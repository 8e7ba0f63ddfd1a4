import { setTimeout } from 'node:timers/promises';
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { mayBecomeReachable } from './sqlstate.js';

/** One SQL statement with its parameters. */
export interface Statement {
  /** With a name the statement is prepared once per connection. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /** Milliseconds to wait for a lock. Without it the statement timeout bounds the wait. The embedded database ignores it. */
  readonly lockTimeout?: number | undefined;
  /** The ids of the sessions that the statement reads or writes. Citus visits only their shards. */
  readonly ids?: readonly string[];
}

/** The result of a health check. */
export interface DatabaseStatus {
  /** Whether the database accepts writes. A standby and a database set to read only do not. */
  readonly writable: boolean;
}

/**
 * Checks that the database answers and has its tables, and returns whether it accepts writes. On a standby every transaction
 * is read only. The WHERE false keeps a Citus coordinator from asking its workers: while one worker is down, the service
 * still serves the sessions of the others.
 */
export async function ping({ probe }: Pick<Database, 'probe'>): Promise<DatabaseStatus> {
  const [status] = await probe<DatabaseStatus>({
    text: `SELECT current_setting('transaction_read_only') = 'off' AS writable
      WHERE NOT EXISTS (SELECT FROM checkout_session WHERE false)`,
    values: [],
  });
  return status as DatabaseStatus;
}

/** Milliseconds of backoff between two attempts: the first pause, doubled each time up to the limit. */
const firstPause = 250;
const maxPause = 5000;

export interface WaitOptions {
  /** Maximum milliseconds to wait. */
  readonly timeout: number;
  /** Aborts the wait. */
  readonly signal: AbortSignal;
  /** Receives the error of each failed attempt and the milliseconds until the next one. */
  readonly onUnreachable: (error: unknown, pause: number) => void;
}

/**
 * Waits until the database answers. A database that starts together with the service may need some seconds.
 *
 * @throws the error of the last attempt after the timeout, or at once an error that waiting cannot fix.
 */
export async function waitUntilReachable(
  database: Database,
  { timeout, signal, onUnreachable }: WaitOptions,
): Promise<void> {
  const end = Date.now() + timeout;
  for (let pause = firstPause; ; pause = Math.min(2 * pause, maxPause)) {
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

/** The number of connections in the pool. */
export interface PoolUsage {
  readonly limit: number;
  readonly size: number;
  readonly idle: number;
  /** Number of statements that wait for a connection. */
  readonly waiting: number;
}

/** The database behind the service: PostgreSQL, Citus or the embedded database. */
export interface Database {
  /** Location of the data, for messages. It holds no credentials. */
  readonly description: string;
  /** Runs one statement and commits it. An error carries PostgreSQL's SQLSTATE or the driver's code. */
  query<Row>(statement: Statement): Promise<Row[]>;
  /**
   * Runs a statement of a health check. On PostgreSQL it has its own connection, because requests may hold all others for
   * seconds, and it fails after about a second if the database does not answer.
   */
  readonly probe: Database['query'];
  /** Runs work in a transaction. Commits it when the work resolves, and rolls it back when the work rejects. */
  transaction<Result>(work: (query: Database['query']) => Promise<Result>): Promise<Result>;
  /** Runs work with the adapter that Prisma's schema engine needs. Only one process at a time runs such work. */
  withMigrationAdapter<Result>(
    work: (adapter: SqlMigrationAwareDriverAdapterFactory) => Promise<Result>,
  ): Promise<Result>;
  /** Returns the use of the connection pool. The embedded database has no pool. */
  readonly pool?: () => PoolUsage;
  /** Returns the number of statements that failed because a Citus worker did. The embedded database has no workers. */
  readonly workerFailures?: () => number;
  /** Waits for the running statements, then releases every connection, file and lock. */
  close(): Promise<void>;
}
