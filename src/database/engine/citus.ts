import { OperatorError } from '../../errors.js';
import type { Database, Statement } from './database.js';
import { isWorkerFailure } from './sqlstate.js';

/**
 * Running on Citus (https://docs.citusdata.com), which distributes the tables over workers by the session's id. The
 * database says itself whether it is one: there is no setting. See prisma/distribute.sql.
 *
 * Tried and rejected: `citus.max_adaptive_executor_pool_size=1`, one connection to each worker for each of ours. It makes
 * lists twice as fast and halves the writes (13.2, 32 connections).
 */

const extensionSql = `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS "isCitus"`;
/** The coordinator is group 0 (https://docs.citusdata.com/en/stable/develop/api_metadata.html). */
const groupSql = 'SELECT groupid AS group FROM pg_dist_local_group';

/**
 * Asks whether the database is a Citus cluster.
 *
 * @throws OperatorError on a worker. Its sequence of djstripe_id begins at 2^48 or above, and the contract's integers end
 *   at 2^31.
 */
export async function isCitus(query: Database['query']): Promise<boolean> {
  const [found] = await query<{ isCitus: boolean }>({ text: extensionSql, values: [] });
  if (!found?.isCitus) return false;
  const [local] = await query<{ group: number }>({ text: groupSql, values: [] });
  if (local?.group === 0) return true;
  throw new OperatorError(
    'DATABASE_URL leads to a worker of a Citus cluster. Use the URL of the coordinator: it alone gives out djstripe_id.',
  );
}

/** Returns whether a table is distributed over the workers. */
export async function isDistributedTable(query: Database['query'], table: string): Promise<boolean> {
  // The catalogue of Citus, which is not there without it.
  const [citus] = await query<{ is: boolean }>({
    text: `SELECT to_regclass('pg_dist_partition') IS NOT NULL AS is`,
    values: [],
  });
  if (!citus?.is) return false;
  const text = 'SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass($1)';
  return (await query({ text, values: [table] })).length > 0;
}

/** The statements on Citus, by their text. The service has few: lists, of any number, name no shards. */
const onCitus = new Map<string, string>();

/**
 * Returns a statement as Citus takes it. Where it joins its inputs with a table, it names their ids once more as one array:
 * Citus then runs it on the shards of those ids, and otherwise on all of them.
 */
export function expandShardHints(statement: Statement): Statement {
  const { text, values, ids } = statement;
  if (ids === undefined) return statement;
  let named = onCitus.get(text);
  if (named === undefined) {
    const parameter = `$${values.length + 1}`;
    named = text.replace(/\/\* shards of ([\w.]+) \*\//g, (_, id) => `AND ${id} = ANY(${parameter}::text[])`);
    onCitus.set(text, named);
  }
  return named === text ? statement : { ...statement, text: named, values: [...values, ids] };
}

/** Milliseconds between two notices of failing workers: each request for their shards meets one. */
const noticeInterval = 10_000;

/** Counts the statements that failed with a worker. @param onFailure told of one, at most once in ten seconds */
export function watchWorkers(onFailure: ((error: Error) => void) | undefined) {
  let failures = 0;
  let noticedAt = Number.NEGATIVE_INFINITY;
  return {
    failures: () => failures,
    note(error: unknown): void {
      if (!isWorkerFailure(error)) return;
      failures += 1;
      const now = performance.now();
      if (now - noticedAt < noticeInterval) return;
      noticedAt = now;
      onFailure?.(error as Error);
    },
  };
}
