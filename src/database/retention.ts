import type { Database } from './engine/database.js';

/**
 * Removes a batch of old events after the position `$2`, `$3`. An async_payment_failed event stays while its session exists
 * and is unpaid, because nothing else records the failure. The LIMIT bounds the events read, not the events removed: many
 * events that stay cannot make one statement slow.
 */
const removeSql = `WITH old AS MATERIALIZED (
    SELECT e.session_id, e.id, e.received_at, CASE WHEN e.type = 'checkout.session.async_payment_failed' THEN
      (SELECT s.payment_status = 'unpaid' FROM checkout_session AS s WHERE s.id = e.session_id) END IS TRUE AS stays
    FROM stripe_event AS e
    WHERE e.received_at < now() - make_interval(days => $1::integer) AND (e.received_at, e.id) > ($2::timestamptz, $3::text)
    ORDER BY e.received_at, e.id LIMIT $4::integer
  ), gone AS (
    DELETE FROM stripe_event WHERE (session_id, id) IN (SELECT session_id, id FROM old WHERE NOT stays) RETURNING id
  )
  SELECT (SELECT count(*)::integer FROM gone) AS removed, (SELECT count(*)::integer FROM old) AS read,
    received_at::text, id FROM old ORDER BY received_at DESC, id DESC LIMIT 1`;

/** Maximum number of rows that one statement removes. */
export const removeBatchSize = 10_000;
/** Maximum retention, a hundred years. PostgreSQL cannot subtract an unbounded number of days from a time. */
export const maxRetentionDays = 36_500;

interface RemovedBatch {
  readonly removed: number;
  /** Number of old events that the batch read. */
  readonly read: number;
  /** With `id`, the position after the batch. */
  readonly received_at: string;
  readonly id: string;
}

/**
 * Removes a batch under an advisory lock, because two replicas that remove at the same time could deadlock. Returns undefined
 * if another replica holds the lock, or if no old event is left.
 */
function removeBatch(database: Database, days: number, after: Pick<RemovedBatch, 'received_at' | 'id'>) {
  return database.transaction(async (query) => {
    const [lock] = await query<{ taken: boolean }>({
      text: `SELECT pg_try_advisory_xact_lock(hashtextextended('stripe_event retention', 0)) AS taken`,
      values: [],
    });
    if (!lock?.taken) return undefined;
    const values = [days, after.received_at, after.id, removeBatchSize];
    return (await query<RemovedBatch>({ text: removeSql, values }))[0];
  });
}

/**
 * Removes the events that the ledger received more than `days` days ago, in batches. An async_payment_failed event stays
 * while its session exists and is unpaid. Stops after the current batch when the signal aborts.
 *
 * @returns the number of removed events.
 */
export async function removeOldEvents(database: Database, days: number, signal?: AbortSignal): Promise<number> {
  let removed = 0;
  let position = { received_at: '-infinity', id: '' };
  for (;;) {
    const batch = await removeBatch(database, Math.min(days, maxRetentionDays), position);
    removed += batch?.removed ?? 0;
    if (!batch || batch.read < removeBatchSize || signal?.aborted) return removed;
    position = batch;
  }
}
