import { OperatorError } from '../../errors.js';
import type { Database, Statement } from './database.js';
import { isWorkerFailure } from './sqlstate.js';

/**
 * Support for Citus (https://docs.citusdata.com), which distributes the tables over workers by the session's id. The service
 * detects Citus, so there is no setting. See prisma/distribute.sql.
 *
 * Rejected: `citus.max_adaptive_executor_pool_size=1`, which opens one connection to each worker for each client connection.
 * It doubles the rate of lists and halves the rate of writes (Citus 13.2, 32 connections).
 */

const extensionSql = `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS "isCitus"`;
/** The coordinator has group id 0 (https://docs.citusdata.com/en/stable/develop/api_metadata.html). */
const groupSql = 'SELECT groupid AS group FROM pg_dist_local_group';

/**
 * Returns whether the database is the coordinator of a Citus cluster.
 *
 * @throws OperatorError on a worker. A worker's sequence of djstripe_id starts at 2^48 or above, but the contract's integers
 *   stay below 2^31.
 */
export async function isCitus(query: Database['query']): Promise<boolean> {
  const [found] = await query<{ isCitus: boolean }>({ text: extensionSql, values: [] });
  if (!found?.isCitus) return false;
  const [local] = await query<{ group: number }>({ text: groupSql, values: [] });
  if (local?.group === 0) return true;
  throw new OperatorError(
    'DATABASE_URL points at a worker of a Citus cluster. Use the URL of the coordinator: only it assigns djstripe_id.',
  );
}

/** Returns whether Citus distributes a table over its workers. */
async function isDistributedTable(query: Database['query'], table: string): Promise<boolean> {
  // Without Citus its catalogue does not exist, and naming it in a FROM clause would fail.
  const [catalogue] = await query<{ exists: boolean }>({
    text: `SELECT to_regclass('pg_dist_partition') IS NOT NULL AS exists`,
    values: [],
  });
  if (!catalogue?.exists) return false;
  const text = 'SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass($1)';
  return (await query({ text, values: [table] })).length > 0;
}

/** Returns a function that says whether Citus distributes the sessions. It asks the database once, and again after a failure. */
export function sessionDistribution({ query }: Pick<Database, 'query'>): () => Promise<boolean> {
  let isDistributed: Promise<boolean> | undefined;
  return () => {
    isDistributed ??= isDistributedTable(query, 'checkout_session').catch((error) => {
      isDistributed = undefined;
      throw error;
    });
    return isDistributed;
  };
}

/** The expanded text of each statement. Only the few statements with ids are here, so the map needs no bound. */
const expandedTexts = new Map<string, string>();

/**
 * Returns a statement with its shard hints expanded to `AND id = ANY($n)`. Citus prunes shards by a condition on the
 * distribution column, but not by a join with a JSON recordset: without the condition a batch visits every shard.
 */
export function expandShardHints(statement: Statement): Statement {
  const { text, values, ids } = statement;
  if (ids === undefined) return statement;
  let expanded = expandedTexts.get(text);
  if (expanded === undefined) {
    const parameter = `$${values.length + 1}`;
    expanded = text.replace(/\/\* shards of ([\w.]+) \*\//g, (_, id) => `AND ${id} = ANY(${parameter}::text[])`);
    expandedTexts.set(text, expanded);
  }
  return expanded === text ? statement : { ...statement, text: expanded, values: [...values, ids] };
}

/** Minimum milliseconds between two reports. While a worker is down, every request for its shards fails. */
const reportInterval = 10_000;

/**
 * Counts the statements that fail because a worker does.
 *
 * @param onFailure receives such a failure at most once every ten seconds.
 */
export function watchWorkers(onFailure: ((error: Error) => void) | undefined) {
  let failures = 0;
  let reportedAt = Number.NEGATIVE_INFINITY;
  return {
    failures: () => failures,
    /** Counts an error if it is a worker's failure. */
    note(error: unknown): void {
      if (!isWorkerFailure(error)) return;
      failures += 1;
      const now = performance.now();
      if (now - reportedAt < reportInterval) return;
      reportedAt = now;
      onFailure?.(error as Error);
    },
  };
}
