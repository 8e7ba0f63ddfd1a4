import type { Database } from '../engine/database.js';

/** How long ago an event was received, in seconds: more than one bound, up to the other. */
export interface AgeRange {
  readonly over: number;
  readonly upTo: number;
}

/**
 * Returns the sessions that are complete, whose newest state has no line items, and of which an event was received in a
 * range of time. Line items of an older state may have changed before the customer paid. The index of the ledger's
 * `received_at` serves the range. Sessions in setup mode never have line items.
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
