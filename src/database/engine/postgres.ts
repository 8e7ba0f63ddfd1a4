import type { Socket } from 'node:net';
import pg from 'pg';
import { expandShardHints, isCitus, watchWorkers } from './citus.js';
import type { Database, Statement } from './database.js';
import { withMigrationLock } from './postgres-migration.js';
import { runPrepared } from './prepared.js';
import { endsConnection, isReadOnlyRefusal, isStalePlan } from './sqlstate.js';

export interface PostgresOptions {
  /** `postgresql://…` */
  url: string;
  /** URL for migrations, past a pooler. Defaults to `url`. */
  directUrl?: string | undefined;
  /** Maximum number of connections. */
  poolSize: number;
  /** Maximum milliseconds of a statement, and of a wait for a connection. */
  statementTimeout: number;
  /**
   * Whether to prepare statements and set the statement timeout on each connection. It must be false behind a pooler in
   * transaction mode, which shares its connections with other clients. The server's setting for the role applies then.
   */
  preparedStatements: boolean;
  /** Receives the error of a connection that fails while idle. The pool replaces that connection by itself. */
  onIdleError?: (error: Error) => void;
  /** Receives the failure of a Citus worker, at most once every ten seconds. */
  onWorkerFailure?: (error: Error) => void;
}

/** Milliseconds after the statement timeout at which a silent server counts as gone. */
const silenceMargin = 1000;

/**
 * Destroys a connection if a statement is in flight and the socket has been silent for `timeout` milliseconds. It replaces
 * pg's `query_timeout`, which starts a timer for each statement. That timer keeps the rows of the statement in memory until
 * the next full garbage collection (pg 8.23), which promoted a third of the young heap.
 */
function destroyWhenSilent({ connection }: pg.PoolClient, timeout: number): void {
  const stream = connection.stream as Socket;
  let bytesAtLastReply = stream.bytesWritten;
  // The listener must run before pg's own, which may send the next statement.
  connection.prependListener('readyForQuery', () => {
    bytesAtLastReply = stream.bytesWritten;
  });
  stream.setTimeout(timeout);
  stream.on('timeout', () => {
    if (stream.bytesWritten === bytesAtLastReply) return; // No statement is in flight.
    stream.destroy(Object.assign(new Error('The database server stopped answering.'), { code: 'ETIMEDOUT' }));
  });
}

/** Milliseconds for which a connection is kept although its server refuses writes. */
const readOnlyReconnectAge = 10_000;

/**
 * Planner settings for the plans of prepared statements. PostgreSQL may make such a plan while the tables are empty and still
 * use it when they are large. On an empty table a hash or merge join looks as cheap as an index lookup per key, so both are
 * off. JIT compilation takes longer than any statement of this service.
 */
const plannerSettings = '-c enable_hashjoin=off -c enable_mergejoin=off -c jit=off';

/** Milliseconds for which a health check waits for its connection, and for each statement. */
const probeTimeout = 1000;

/** Opens the pool of the health checks: one connection, made on the first check and again after a failure. */
function openProbePool({ url, preparedStatements }: PostgresOptions): pg.Pool {
  const probePool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: probeTimeout,
    idleTimeoutMillis: 0,
    // After a failover the host name of the URL may resolve to another server.
    maxLifetimeSeconds: 30,
    ...(preparedStatements && { statement_timeout: probeTimeout }),
    application_name: 'checkout-session-service health',
    keepAlive: true,
  });
  probePool.on('error', () => {});
  probePool.on('connect', (client) => {
    destroyWhenSilent(client, probeTimeout + silenceMargin / 2);
    client.on('error', () => {});
  });
  return probePool;
}

/** Opens a pool of connections to PostgreSQL. It connects on the first query. */
export function openPostgres(options: PostgresOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize,
    connectionTimeoutMillis: options.statementTimeout,
    // A pooler in transaction mode refuses a connection that asks for these settings.
    ...(options.preparedStatements && { statement_timeout: options.statementTimeout, options: plannerSettings }),
    application_name: 'checkout-session-service',
    keepAlive: true,
  });
  const probePool = openProbePool(options);
  pool.on('error', (error) => options.onIdleError?.(error));
  const connectedAt = new WeakMap<pg.ClientBase, number>();
  pool.on('connect', (client) => {
    connectedAt.set(client, Date.now());
    destroyWhenSilent(client, options.statementTimeout + silenceMargin);
    // The pool listens to idle clients only. For a client in use the failing statement reports the error.
    client.on('error', () => {});
  });
  /**
   * Returns whether a connection may still lead to the old primary after a failover. A new connection may reach the new
   * primary. Young connections are kept: while there is no primary, each refused write would cost a connection otherwise.
   */
  const mayBeDemoted = (client: pg.PoolClient, error: unknown) =>
    isReadOnlyRefusal(error) && Date.now() - (connectedAt.get(client) ?? 0) > readOnlyReconnectAge;
  /** Whether the database is a Citus cluster. Undefined until the first connection finds out. */
  let isDistributed: boolean | undefined;
  async function connect(): Promise<pg.PoolClient> {
    const client = await pool.connect();
    try {
      isDistributed ??= await isCitus(queryOn(client));
      return client;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }
  const workers = watchWorkers(options.onWorkerFailure);
  const queryOn =
    (client: pg.PoolClient): Database['query'] =>
    async <Row>(statement: Statement) => {
      const { name, text, values } = isDistributed ? expandShardHints(statement) : statement;
      if (name !== undefined && options.preparedStatements) return runPrepared<Row>(client, { name, text, values });
      const { rows } = await client.query({ text, values: values as unknown[] });
      return rows as Row[];
    };

  async function transaction<Result>(
    work: (query: Database['query']) => Promise<Result>,
    setting = '',
  ): Promise<Result> {
    const client = await connect();
    let mustDestroy = false;
    try {
      await client.query(`BEGIN; ${setting}`);
      const result = await work(queryOn(client));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      workers.note(error);
      // The pool must not reuse a connection whose ROLLBACK fails.
      mustDestroy = await client.query('ROLLBACK').then(
        () => mayBeDemoted(client, error),
        () => true,
      );
      throw error;
    } finally {
      client.release(mustDestroy);
    }
  }

  return {
    description: describe(options.url),
    async query<Row>(statement: Statement) {
      if (statement.lockTimeout !== undefined) {
        return transaction((query) => query<Row>(statement), `SET LOCAL lock_timeout = ${statement.lockTimeout}`);
      }
      const client = await connect();
      const query = queryOn(client);
      let mustDestroy = false;
      try {
        // PostgreSQL rolls a failed statement back, so it can run again.
        return await query<Row>(statement).catch((error) => {
          if (!isStalePlan(error)) throw error;
          return query<Row>(statement);
        });
      } catch (error) {
        workers.note(error);
        mustDestroy = endsConnection(error) || mayBeDemoted(client, error);
        throw error;
      } finally {
        client.release(mustDestroy);
      }
    },
    probe: async <Row>({ text, values }: Statement) => (await probePool.query(text, [...values])).rows as Row[],
    transaction: (work) => transaction(work),
    withMigrationAdapter: (work) => withMigrationLock(options.directUrl ?? options.url, work),
    pool: () => ({
      limit: options.poolSize,
      size: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    workerFailures: workers.failures,
    close: async () => {
      await Promise.all([pool.end(), probePool.end()]);
    },
  };
}

function describe(url: string): string {
  const { host, pathname } = new URL(url);
  return `PostgreSQL at ${host}${pathname}`;
}
