import { setTimeout } from 'node:timers/promises';
import { OperatorError, Problem, type ProblemCode } from '../../errors.js';

/** What failures of the database and of the system mean: to a client, to the person who started the service. */

/**
 * What a failure of the database means to a client, from its SQLSTATE (PostgreSQL's appendix A) or the
 * driver's error code. What is in neither table is a fault of ours: `internal`.
 */
export function databaseProblem(error: unknown): Problem | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : '';
  if (isWorkerFailure(error)) return new Problem('database-unavailable', { cause: error });
  const kind =
    typeof code === 'string'
      ? (problemBySqlState[code] ?? problemBySqlStateClass[code.slice(0, 2)] ?? problemByDriverCode[code])
      : problemByDriverMessage.find(([pattern]) => pattern.test(message))?.[1];
  return kind && new Problem(kind, { cause: error });
}

const problemBySqlState: Readonly<Record<string, ProblemCode>> = {
  '25006': 'database-unavailable', // read_only_sql_transaction: a standby, in the middle of a failover
  '42501': 'database-unavailable', // insufficient_privilege: see "Roles" in README.md
  '55000': 'database-unavailable', // object_not_in_prerequisite_state: the database takes no connections
  '55P03': 'query-timeout', // lock_not_available, by lock_timeout
  '57014': 'query-timeout', // query_canceled, by statement_timeout
};

const problemBySqlStateClass: Readonly<Record<string, ProblemCode>> = {
  '08': 'database-unavailable', // connection exception
  '28': 'database-unavailable', // invalid authorization: the operator's to mend
  '3D': 'database-unavailable', // the database does not exist
  '53': 'database-unavailable', // insufficient resources: connections, disk, memory
  '54': 'payload-too-large', // program limit exceeded
  '57': 'database-unavailable', // operator intervention: shutdown, crash, starting up
  '58': 'database-unavailable', // system error outside PostgreSQL
};

const problemByDriverCode: Readonly<Record<string, ProblemCode>> = {
  // Prisma's own (https://www.prisma.io/docs/orm/reference/error-reference).
  P1000: 'database-unavailable', // authentication failed
  P1001: 'database-unavailable', // cannot be reached
  P1002: 'database-unavailable', // timed out
  P1003: 'database-unavailable', // does not exist
  P1008: 'query-timeout',
  P1017: 'database-unavailable', // closed the connection
  P2024: 'database-unavailable', // no connection within the limit
  ECONNREFUSED: 'database-unavailable',
  ECONNRESET: 'database-unavailable',
  EHOSTUNREACH: 'database-unavailable',
  ENETUNREACH: 'database-unavailable',
  ENOENT: 'database-unavailable', // a socket's path
  ENOTFOUND: 'database-unavailable',
  EAI_AGAIN: 'database-unavailable',
  EPIPE: 'database-unavailable',
  ETIMEDOUT: 'database-unavailable',
};

// pg gives these no code: the pool's wait limit, a connection lost under a query.
const problemByDriverMessage: readonly [RegExp, ProblemCode][] = [
  [/timeout exceeded when trying to connect/, 'database-unavailable'],
  [/Connection terminated|Client has encountered a connection error/, 'database-unavailable'],
];

/** Whether the database is not there, and may come by itself: a wrong password or name does not mend. */
export function mayBecomeReachable(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  const isRefused = typeof code === 'string' && /^(28|3D)/.test(code);
  return !isRefused && databaseProblem(error)?.code === 'database-unavailable';
}

/**
 * Whether the database refused a statement, and so did nothing of it. After any other failure it may have been done:
 * the connection is lost, the server stops, or is at fault itself (XX, F0).
 */
export function isRefusal(error: unknown): boolean {
  if (isWorkerFailure(error)) return undone.test((error as Error).message);
  const code = sqlStateOf(error);
  return code !== undefined && !/^(XX|F0)/.test(code) && databaseProblem(error)?.code !== 'database-unavailable';
}

/**
 * How Citus says that a worker failed: with the code of a failed connection, or with that of an internal error where the
 * connection was lost within a statement (13.2).
 */
const workerFailure = new RegExp(
  [
    'connection to the remote node',
    'could not establish any connections to the node',
    'cannot connect to .* to fetch intermediate results',
    'failed to (?:prepare transaction|COPY to shard|read result)',
    'execution cannot recover from multiple failures',
    'failure on connection marked as essential',
    // What libpq says on the coordinator of a connection that is lost within a statement.
    'server closed the connection unexpectedly',
    'connection not open',
    'no connection to the server',
    'could not (?:receive data from|send data to) server',
    'SSL (?:SYSCALL|error|connection has been closed)',
  ]
    .map((words) => `^${words}`)
    .join('|'),
);

/**
 * Whether a worker of a Citus cluster failed. Its shards are not served until it is back. The connection, which is the
 * coordinator's, goes on, as do the sessions on other workers.
 */
export function isWorkerFailure(error: unknown): boolean {
  return error instanceof Error && /^(08|XX)/.test(sqlStateOf(error) ?? '') && workerFailure.test(error.message);
}

/**
 * What a worker's failure says where nothing was done: no connection was made, or a transaction over several workers was
 * rolled back. Where the connection was lost otherwise, a statement on one worker may have been committed.
 */
const undone =
  /marked as essential|failed to prepare|any connections|Connection refused|the database system is|timeout expired|No route to host|could not translate/;

/** The SQLSTATE of a failure; undefined where it has none, as the driver's and the system's have. */
function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  // EPIPE has five letters too.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE' ? code : undefined;
}

/**
 * Whether a connection is of no use after a failure. After an error of SQL PostgreSQL says that it is ready for the next
 * statement, also after one that it cancelled. These codes end the session, XX may leave it in any state, and a failure
 * without an SQLSTATE is the driver's: the connection is gone, silent, or out of step.
 */
export function endsConnection(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (isWorkerFailure(error)) return false;
  return code === undefined || /^(08|57P|25P0[345]|XX)/.test(code);
}

/** Whether a prepared statement has to be prepared again: its result changed with a table, or the session lost it. */
export function isStalePlan(error: unknown): boolean {
  return ['0A000', '26000'].includes(sqlStateOf(error) ?? '');
}

/** Whether the database cannot do at all what a statement asks for, as Citus says of a LATERAL over its tables. */
export function isNotSupported(error: unknown): boolean {
  return sqlStateOf(error) === '0A000';
}

/** Whether the server only reads: a standby, or a database that is set to. */
export function isReadOnlyRefusal(error: unknown): boolean {
  return sqlStateOf(error) === '25006';
}

/** Whether a statement waited for a lock longer than its lock timeout. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

/** Whether a statement was ended because it took too long, or waited too long for a lock. */
export function isTimeout(error: unknown): boolean {
  return databaseProblem(error)?.code === 'query-timeout';
}

interface Retries {
  /** The SQLSTATEs after which it is done again. */
  readonly codes: readonly string[];
  readonly attempts: number;
  /** Milliseconds between two of them. */
  readonly pause: number;
}

/** Deadlock, serialization failure. */
const lostRaces: Retries = { codes: ['40P01', '40001'], attempts: 4, pause: 0 };

/** Repeats what lost against another transaction through no fault of its own. */
export async function retrying<Value>(work: () => Promise<Value>, retries = lostRaces): Promise<Value> {
  const { codes, attempts, pause } = retries;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { code?: string };
      if (!codes.includes(code ?? '') || attempt === attempts) throw error;
      if (pause > 0) await setTimeout(pause);
    }
  }
}

/** What to tell the person who started the service, where a failure is theirs to mend; else undefined. */
export function operatorMessage(error: unknown): string | undefined {
  if (error instanceof OperatorError) return error.message;
  const { code, address, port } = error as { code?: string; address?: string; port?: number };
  if (code === 'EADDRINUSE') return `PORT ${port} of HOST ${address} is in use: stop what uses it, or choose another.`;
  if (code === 'EACCES' && port) return `PORT ${port} of HOST ${address} may not be used by this user: choose another.`;
  if (code === 'EADDRNOTAVAIL') return `HOST ${address} is no address of this machine.`;
  if (code === '42501')
    return `The database role may not do this: ${(error as Error).message}. See "Roles" in README.md.`;
  const problem = databaseProblem(error);
  return problem && `The database cannot be used: ${(error as Error).message || code}. See DATABASE_URL.`;
}
