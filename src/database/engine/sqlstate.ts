import { setTimeout } from 'node:timers/promises';
import { OperatorError, Problem, type ProblemCode } from '../../errors.js';

/** Translates failures of the database and of the system into problems for clients and messages for operators. */

/**
 * Returns the problem that a client gets for a database error, by its SQLSTATE (appendix A of PostgreSQL's manual) or the
 * driver's error code. Returns undefined for any other error: it is a fault of this service, and the client gets `internal`.
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
  '42501': 'database-unavailable', // insufficient_privilege: see "Roles" in docs/operations.md
  '55000': 'database-unavailable', // object_not_in_prerequisite_state: the database takes no connections
  '55P03': 'query-timeout', // lock_not_available, by lock_timeout
  '57014': 'query-timeout', // query_canceled, by statement_timeout
};

const problemBySqlStateClass: Readonly<Record<string, ProblemCode>> = {
  '08': 'database-unavailable', // connection exception
  '28': 'database-unavailable', // invalid authorization: the operator must fix it
  '3D': 'database-unavailable', // the database does not exist
  '53': 'database-unavailable', // insufficient resources: connections, disk, memory
  '54': 'payload-too-large', // program limit exceeded
  '57': 'database-unavailable', // operator intervention: shutdown, crash, starting up
  '58': 'database-unavailable', // system error outside PostgreSQL
};

const problemByDriverCode: Readonly<Record<string, ProblemCode>> = {
  // Prisma's codes (https://www.prisma.io/docs/orm/reference/error-reference).
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

// pg sets no code for these: the pool's connection timeout, and a connection lost during a query.
const problemByDriverMessage: readonly [RegExp, ProblemCode][] = [
  [/timeout exceeded when trying to connect/, 'database-unavailable'],
  [/Connection terminated|Client has encountered a connection error/, 'database-unavailable'],
];

/** Returns whether the database is unreachable and may recover by itself. A wrong password or database name does not. */
export function mayBecomeReachable(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  const isRefused = typeof code === 'string' && /^(28|3D)/.test(code);
  return !isRefused && databaseProblem(error)?.code === 'database-unavailable';
}

/**
 * Returns whether the database refused a statement and rolled it back. After any other failure the statement may be committed:
 * the connection was lost, the server stopped, or the server has an internal error (XX, F0).
 */
export function isRefusal(error: unknown): boolean {
  if (isWorkerFailure(error)) return rolledBackPattern.test((error as Error).message);
  const code = sqlStateOf(error);
  return code !== undefined && !/^(XX|F0)/.test(code) && databaseProblem(error)?.code !== 'database-unavailable';
}

/**
 * Messages of a failed worker. Citus gives them the code of a connection failure, or of an internal error if the connection
 * was lost within a statement (13.2), so the code alone does not identify them. The message of a worker that shuts down keeps
 * its code 57P01, except within a COPY.
 */
const workerFailurePattern = new RegExp(
  [
    'connection to the remote node',
    'could not establish any connections to the node',
    'cannot connect to .* to fetch intermediate results',
    'failed to (?:prepare transaction|(?:complete )?COPY|read result)',
    'execution cannot recover from multiple failures',
    'failure on connection marked as essential',
    'terminating connection',
    // Messages of libpq on the coordinator, for a connection lost within a statement.
    'server closed the connection unexpectedly',
    'connection not open',
    'no connection to the server',
    'could not (?:receive data from|send data to) server',
    'SSL (?:SYSCALL|error|connection has been closed)',
  ]
    .map((pattern) => `^${pattern}`)
    .join('|'),
);

/**
 * Returns whether a worker of a Citus cluster failed. Its shards are unavailable until it is back. The connection to the
 * coordinator stays usable, and so do the sessions on other workers.
 */
export function isWorkerFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !/^(08|57P|58|XX)/.test(sqlStateOf(error) ?? '')) return false;
  // The coordinator itself ends a connection with FATAL. It passes on the end of a connection to a worker as an ERROR.
  return (error as { severity?: string }).severity !== 'FATAL' && workerFailurePattern.test(error.message);
}

/**
 * Messages of a worker's failure after which nothing is committed: the coordinator made no connection, or rolled back a
 * transaction over several workers. After any other lost connection a statement on one worker may be committed.
 */
const rolledBackPattern =
  /marked as essential|failed to prepare|any connections|Connection refused|the database system is|timeout expired|No route to host|could not translate/;

/** Returns the SQLSTATE of an error, or undefined for an error of the driver or the system. */
function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  // EPIPE has five letters like an SQLSTATE.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE' ? code : undefined;
}

/**
 * Returns whether a connection is unusable after an error. After an SQL error, even a cancelled statement, PostgreSQL is ready
 * for the next statement. The codes below end the session, and XX may leave it in any state. An error without an SQLSTATE
 * comes from the driver: the connection is lost, silent, or out of sync with the protocol.
 */
export function endsConnection(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (isWorkerFailure(error)) return false;
  return code === undefined || /^(08|57P|25P0[345]|XX)/.test(code);
}

/** Returns whether a statement must be prepared again: a changed table altered its result, or the session lost it. */
export function isStalePlan(error: unknown): boolean {
  return ['0A000', '26000'].includes(sqlStateOf(error) ?? '');
}

/** Returns whether the database does not support a statement. Citus does not support LATERAL over a distributed table. */
export function isNotSupported(error: unknown): boolean {
  return sqlStateOf(error) === '0A000';
}

/** Returns whether the server refused a write because it is a standby, or the database is set to read only. */
export function isReadOnlyRefusal(error: unknown): boolean {
  return sqlStateOf(error) === '25006';
}

/** Returns whether a statement waited for a lock longer than its lock timeout. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

/** Returns whether a statement exceeded the statement timeout or its lock timeout. */
export function isTimeout(error: unknown): boolean {
  return databaseProblem(error)?.code === 'query-timeout';
}

interface Retries {
  /** The SQLSTATEs after which to retry. */
  readonly codes: readonly string[];
  /** Maximum number of attempts, including the first. */
  readonly attempts: number;
  /** Milliseconds between two attempts. */
  readonly pause: number;
}

/** Retries after deadlock_detected and serialization_failure. */
const conflictRetries: Retries = { codes: ['40P01', '40001'], attempts: 4, pause: 0 };

/** Retries work that PostgreSQL rolled back because of a concurrent transaction. Throws the error of the last attempt. */
export async function retrying<Value>(work: () => Promise<Value>, retries = conflictRetries): Promise<Value> {
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

/** Returns the message for a failure that the operator can fix, or undefined for any other failure. */
export function operatorMessage(error: unknown): string | undefined {
  if (error instanceof OperatorError) return error.message;
  const { code, address, port } = error as { code?: string; address?: string; port?: number };
  if (code === 'EADDRINUSE')
    return `PORT ${port} of HOST ${address} is in use: stop the process that uses it, or choose another port.`;
  if (code === 'EACCES' && port)
    return `This user may not listen on PORT ${port} of HOST ${address}: choose another port.`;
  if (code === 'EADDRNOTAVAIL') return `HOST ${address} is not an address of this machine.`;
  if (code === '42501')
    return `The database role may not do this: ${(error as Error).message}. See "Roles" in docs/operations.md.`;
  if (isWorkerFailure(error)) {
    return `A worker of Citus failed: ${(error as Error).message}. Run the command again once the worker is back.`;
  }
  const problem = databaseProblem(error);
  return problem && `The database cannot be used: ${(error as Error).message || code}. See DATABASE_URL.`;
}
