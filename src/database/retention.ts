import type { Database } from './engine/database.js';

/**
 * Removes a batch of old events, beginning after a position. Those that say that a delayed payment failed stay while
 * their session exists and is unpaid: nothing else says so. Looks at a bounded number of events, however many stay.
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

/** Rows that one statement removes at most. */
export const removeBatchSize = 10_000;
/** A hundred years. PostgreSQL cannot subtract days without a bound from a date. */
export const maxRetentionDays = 36_500;

interface RemovedBatch {
  readonly removed: number;
  /** Events that were looked at. */
  readonly read: number;
  /** The position after the batch. */
  readonly received_at: string;
  readonly id: string;
}

/** Removes a batch. Of several replicas one does, and the others return undefined: two at once could lock each other's rows. */
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
 * Removes the events that the ledger has kept for some days, a batch at a time. An event that says that a delayed payment
 * failed stays while its session exists and is unpaid.
 *
 * @returns how many events.
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
