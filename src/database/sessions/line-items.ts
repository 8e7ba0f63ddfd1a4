import type { Database } from '../engine/database.js';

/** A range of an event's age in seconds, from `over` (exclusive) to `upTo` (inclusive). */
export interface AgeRange {
  readonly over: number;
  readonly upTo: number;
}

/**
 * Returns the ids of complete sessions that received an event in the age range and whose newest state has no line items.
 * Line items of an older state do not count: they may have changed before the customer paid. Sessions in setup mode never
 * have line items. The ledger's index on `received_at` serves the range.
 */
export async function sessionsWithoutItems(database: Database, { over, upTo }: AgeRange): Promise<string[]> {
  const rows = await database.query<{ id: string }>({
    text: `SELECT DISTINCT s.id FROM stripe_event AS e JOIN checkout_session AS s ON s.id = e.session_id
      WHERE e.received_at < now() - make_interval(secs => $1::float8)
        AND e.received_at >= now() - make_interval(secs => $2::float8)
        AND (s.stripe_gaps ? 'display_items' OR s.display_items IS NULL) AND s.mode <> 'setup'
        AND (s.status = 'complete' OR s.status IS NULL AND s.stripe_progress > 0)`,
    values: [over, upTo],
  });
  return rows.map(({ id }) => id);
}
