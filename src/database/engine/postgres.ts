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
  /** For migrations, past a pooler; `url` when absent. */
  directUrl?: string | undefined;
  /** Connections at most. */
  poolSize: number;
  /** Milliseconds a statement may take, and a request may wait for a connection. */
  statementTimeout: number;
  /**
   * False behind a pooler in transaction mode, whose connections are not ours: nothing is kept on them, and the
   * statement timeout is what the server sets for the role.
   */
  preparedStatements: boolean;
  /** Told of connections that fail while idle; the pool replaces them by itself. */
  onIdleError?: (error: Error) => void;
  /** Told of a failing worker of a Citus cluster, once in a while. */
  onWorkerFailure?: (error: Error) => void;
}

/** Milliseconds past its own timeout after which a server that says nothing is taken for gone. */
const silence = 1000;

/**
 * Ends a connection on which a statement is under way and nothing has moved for so many milliseconds. pg's own
 * `query_timeout` is a timer for each statement, and what was read lay in memory until the next full collection (8.23):
 * a third of what the process took.
 */
function endWhenSilent({ connection }: pg.PoolClient, timeout: number): void {
  const stream = connection.stream as Socket;
  let settled = stream.bytesWritten;
  // Before pg's own listener, which may send the next statement.
  connection.prependListener('readyForQuery', () => {
    settled = stream.bytesWritten;
  });
  stream.setTimeout(timeout);
  stream.on('timeout', () => {
    if (stream.bytesWritten === settled) return;
    stream.destroy(Object.assign(new Error('The database server says nothing.'), { code: 'ETIMEDOUT' }));
  });
}

/** Milliseconds that a connection is kept at least, though its server refuses writes. */
const readOnlyReconnect = 10_000;

/**
 * Settings for plans that are kept. They may be made while the tables are empty, when a hash of all rows looks as good as
 * a look at each key, and stand when the tables are large. Compiling a plan takes longer than any statement here.
 */
const planner = '-c enable_hashjoin=off -c enable_mergejoin=off -c jit=off';

/** Milliseconds that a health check waits for its connection, and for its statement. */
const probeTimeout = 1000;

/** Opens the one connection of the health checks, on the first of them. After a failure the next check has another. */
function openProbes({ url, preparedStatements }: PostgresOptions): pg.Pool {
  const probes = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: probeTimeout,
    idleTimeoutMillis: 0,
    // After a failover the name in the URL may lead to another server.
    maxLifetimeSeconds: 30,
    ...(preparedStatements && { statement_timeout: probeTimeout }),
    application_name: 'checkout-session-service health',
    keepAlive: true,
  });
  probes.on('error', () => {});
  probes.on('connect', (client) => {
    endWhenSilent(client, probeTimeout + silence / 2);
    client.on('error', () => {});
  });
  return probes;
}

/** Opens a pool on PostgreSQL. Connects on the first query. */
export function openPostgres(options: PostgresOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize,
    connectionTimeoutMillis: options.statementTimeout,
    // A pooler refuses a connection that asks for settings.
    ...(options.preparedStatements && { statement_timeout: options.statementTimeout, options: planner }),
    application_name: 'checkout-session-service',
    keepAlive: true,
  });
  const probes = openProbes(options);
  pool.on('error', (error) => options.onIdleError?.(error));
  const connectedAt = new WeakMap<pg.ClientBase, number>();
  pool.on('connect', (client) => {
    connectedAt.set(client, Date.now());
    endWhenSilent(client, options.statementTimeout + silence);
    // The pool listens while nothing uses the client. Who uses it learns from the statement that fails.
    client.on('error', () => {});
  });
  /**
   * Whether a connection may lead to a server that was the primary before a failover. A new connection may lead to the
   * present one. Only old connections count: else each refused write would cost a connection while no primary is there.
   */
  const mayBeDemoted = (client: pg.PoolClient, error: unknown) =>
    isReadOnlyRefusal(error) && Date.now() - (connectedAt.get(client) ?? 0) > readOnlyReconnect;
  /** Whether the database is a Citus cluster; undefined until the first connection has asked. */
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
    let isLost = false;
    try {
      await client.query(`BEGIN; ${setting}`);
      const result = await work(queryOn(client));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      workers.note(error);
      // The pool must not reuse a connection that cannot even roll back.
      isLost = await client.query('ROLLBACK').then(
        () => mayBeDemoted(client, error),
        () => true,
      );
      throw error;
    } finally {
      client.release(isLost);
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
      let isLost = false;
      try {
        // A statement that failed outside a transaction did nothing, so it may run again.
        return await query<Row>(statement).catch((error) => {
          if (!isStalePlan(error)) throw error;
          return query<Row>(statement);
        });
      } catch (error) {
        workers.note(error);
        isLost = endsConnection(error) || mayBeDemoted(client, error);
        throw error;
      } finally {
        client.release(isLost);
      }
    },
    probe: async <Row>({ text, values }: Statement) => (await probes.query(text, [...values])).rows as Row[],
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
      await Promise.all([pool.end(), probes.end()]);
    },
  };
}

function describe(url: string): string {
  const { host, pathname } = new URL(url);
  return `PostgreSQL at ${host}${pathname}`;
}
