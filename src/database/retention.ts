import type { Database } from './engine/database.js';

/** Removes old events from the ledger, and old changes from the log. */

/** Maximum number of rows that one statement removes. */
const removeBatchSize = 10_000;
/** Maximum retention, a hundred years. PostgreSQL cannot subtract an unbounded number of days from a time. */
const maxRetentionDays = 36_500;

/**
 * Removes a batch of old events after the position `$2`, `$3`. An async_payment_failed event stays while its session exists
 * and is unpaid, because nothing else records the failure. The LIMIT bounds the events read, not the events removed: many
 * events that stay cannot make one statement slow.
 */
const removeEventsSql = `WITH old AS MATERIALIZED (
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
function removeEventBatch(database: Database, days: number, after: Pick<RemovedBatch, 'received_at' | 'id'>) {
  return database.transaction(async (query) => {
    const [lock] = await query<{ taken: boolean }>({
      text: `SELECT pg_try_advisory_xact_lock(hashtextextended('stripe_event retention', 0)) AS taken`,
      values: [],
    });
    if (!lock?.taken) return undefined;
    const values = [days, after.received_at, after.id, removeBatchSize];
    return (await query<RemovedBatch>({ text: removeEventsSql, values }))[0];
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
    const batch = await removeEventBatch(database, Math.min(days, maxRetentionDays), position);
    removed += batch?.removed ?? 0;
    if (!batch || batch.read < removeBatchSize || signal?.aborted) return removed;
    position = batch;
  }
}

/**
 * Removes a batch of old changes: at most `$3` changes older than `$1` days, up to the horizon `$2`. It stops before the first
 * change that is not old, so the log stays contiguous, and it raises the floor in the same statement. Several replicas may run
 * it at the same time: FOR UPDATE on the floor's row serialises them.
 */
const removeChangesSql = `WITH floor AS MATERIALIZED (
    SELECT seq FROM checkout_session_change_floor FOR UPDATE
  ), oldest AS MATERIALIZED (
    SELECT c.seq, c.at < now() - make_interval(days => $1::integer) AS is_old FROM checkout_session_change AS c, floor
    WHERE c.seq > floor.seq AND c.seq <= $2::bigint ORDER BY c.seq LIMIT $3::bigint
  ), cut AS MATERIALIZED (
    SELECT max(seq) AS seq FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE NOT is_old), $2::bigint + 1)
  ), moved AS (
    UPDATE checkout_session_change_floor AS f SET seq = cut.seq FROM cut WHERE cut.seq > f.seq
  ), gone AS (
    DELETE FROM checkout_session_change AS c USING cut WHERE c.seq <= cut.seq RETURNING c.seq
  )
  SELECT count(*)::int AS removed FROM gone`;

/**
 * Removes the changes that are older than `days` days, in batches. Stops after the current batch when the signal aborts.
 *
 * @param horizon returns the number up to which the log is settled. A later change must stay.
 * @returns the number of removed changes.
 */
export async function removeOldChanges(
  { query }: Pick<Database, 'query'>,
  horizon: () => Promise<number>,
  days: number,
  signal?: AbortSignal,
): Promise<number> {
  for (let removed = 0; ; ) {
    const values = [Math.min(days, maxRetentionDays), await horizon(), removeBatchSize];
    const [batch] = await query<{ removed: number }>({ text: removeChangesSql, values });
    const count = batch?.removed ?? 0;
    removed += count;
    if (count < removeBatchSize || signal?.aborted) return removed;
  }
}
