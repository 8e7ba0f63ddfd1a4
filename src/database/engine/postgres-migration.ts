import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { OperatorError } from '../../errors.js';
import { assertMayMigrate } from './rights.js';
import { retrying } from './sqlstate.js';

/** Migrates PostgreSQL: one process at a time, on connections that no request uses. */

/** The key of the advisory lock. Every version of the service must use the same. It differs from the key of Prisma's lock. */
const migrationLock = 2_024_110_722;
/** Milliseconds. */
const lockTimeout = 5000;
/** Retries after lock_not_available and deadlock_detected. */
const lockRetries = { codes: ['55P03', '40P01'], attempts: 24, pause: 100 };
/**
 * Settings of the connections that migrate. The role may have a statement timeout, which is meant for requests. Citus accepts
 * a migration that changes several distributed tables only in its sequential mode. PostgreSQL alone ignores that setting.
 */
const migrationSettings = {
  lock_timeout: lockTimeout,
  options: '-c statement_timeout=0 -c citus.multi_shard_modify_mode=sequential',
};

type Work<Result> = (adapter: PrismaPg) => Promise<Result>;

/**
 * Runs work under an advisory lock, so that replicas that start at the same time migrate one after the other. Waits for locks
 * in short attempts: while a statement queues for a table's lock, all later statements on that table queue behind it.
 *
 * @throws OperatorError when the connection that holds the lock is lost, because another process may then start to migrate.
 */
export async function withMigrationLock<Result>(url: string, work: Work<Result>): Promise<Result> {
  const lockClient = new pg.Client({ connectionString: url, ...migrationSettings, keepAlive: true });
  const lost = new Promise<never>((_, reject) => {
    // pg emits the failure of an idle connection as an event. Without a listener the event would end the process.
    lockClient.on('error', (cause) => reject(new OperatorError(lostMessage(cause), { cause })));
  });
  lost.catch(() => {});
  await lockClient.connect();
  try {
    const lock = { text: 'SELECT pg_advisory_lock($1)', values: [migrationLock] };
    await assertMayMigrate(async ({ text, values }) => (await lockClient.query(text, [...values])).rows);
    await Promise.race([retrying(() => lockClient.query(lock), lockRetries), lost]);
    return await Promise.race([withPool(url, lost, work), lost]);
  } finally {
    await lockClient.end();
  }
}

function lostMessage({ message }: Error): string {
  return `The database was lost while migrating (${message}). Start again: the next start applies the remaining migrations.`;
}

/** Runs work on a pool of its own. Its connections are destroyed when the lock is lost. */
async function withPool<Result>(url: string, lost: Promise<never>, work: Work<Result>): Promise<Result> {
  const pool = new pg.Pool({ connectionString: url, ...migrationSettings, max: 2 });
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    client.on('error', () => {});
    lost.catch(() => client.connection.stream.destroy());
  });
  try {
    return await work(new MigrationAdapter(pool));
  } finally {
    await pool.end();
  }
}

/**
 * Prisma's adapter, except that it sends a script as a whole. The original splits a script at every semicolon, even inside a
 * function body (adapter-pg 7.10). PostgreSQL runs a whole script as one implicit transaction, so a failed migration leaves
 * nothing behind and can be retried.
 */
class MigrationAdapter extends PrismaPg {
  override async connect() {
    const adapter = await super.connect();
    adapter.executeScript = async (script) => {
      await retrying(() => adapter.underlyingDriver().query(script), lockRetries);
    };
    return adapter;
  }
}
