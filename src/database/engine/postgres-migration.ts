import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { OperatorError } from '../../errors.js';
import { assertMayMigrate } from './rights.js';
import { retrying } from './sqlstate.js';

/** Migrations of a PostgreSQL: one process at a time, on connections that no request uses. */

/** Any number, as long as every version of the service uses the same; not the one of Prisma's own lock. */
const migrationLock = 2_024_110_722;
const lockTimeout = 5000;
/** After lock_not_available and deadlock_detected. */
const lockRetries = { codes: ['55P03', '40P01'], attempts: 24, pause: 100 };
/**
 * Of the connections that migrate: the role may have a statement timeout, which is for requests. Citus takes a migration
 * that changes several distributed tables on one connection to each worker; elsewhere nothing reads its setting.
 */
const migrationSettings = {
  lock_timeout: lockTimeout,
  options: '-c statement_timeout=0 -c citus.multi_shard_modify_mode=sequential',
};

type Work<Result> = (adapter: PrismaPg) => Promise<Result>;

/**
 * Holds an advisory lock while migrating, so that replicas that start together migrate one after the other.
 * Waiting for locks is short and repeated: a statement queueing for a table's lock holds up all who come after it.
 *
 * @throws when the connection that holds the lock is lost: another process may migrate from then on.
 */
export async function withMigrationLock<Result>(url: string, work: Work<Result>): Promise<Result> {
  const holder = new pg.Client({ connectionString: url, ...migrationSettings, keepAlive: true });
  const lost = new Promise<never>((_, reject) => {
    // pg emits a failure that no statement meets. Without a listener it would end the process.
    holder.on('error', (cause) => reject(new OperatorError(lockIsLost(cause), { cause })));
  });
  lost.catch(() => {});
  await holder.connect();
  try {
    const lock = { text: 'SELECT pg_advisory_lock($1)', values: [migrationLock] };
    await assertMayMigrate(async ({ text, values }) => (await holder.query(text, [...values])).rows);
    await Promise.race([retrying(() => holder.query(lock), lockRetries), lost]);
    return await Promise.race([withPool(url, lost, work), lost]);
  } finally {
    await holder.end();
  }
}

function lockIsLost({ message }: Error): string {
  return `The database was lost while migrating (${message}). Start again: what was not committed will be applied then.`;
}

/** Runs work on a pool of its own, whose connections end when the lock is lost. */
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
 * Prisma's adapter with its scripts sent whole: its own splits them at every semicolon, those inside
 * function bodies too (adapter-pg 7.10). One script is one implicit transaction, so a migration that
 * fails leaves nothing behind, and can be repeated.
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
