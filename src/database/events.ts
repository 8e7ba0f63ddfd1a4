import { eventColumns } from '../model/stripe.js';
import type { Database } from './engine/database.js';
import { type ListTable, listReader } from './list/page.js';

/** The SQL of a time as JSON, in UTC whatever the connection's time zone. */
const utc = (time: string) => `left(to_json(${time} AT TIME ZONE 'UTC')::text, -1), '+00:00"'`;

const eventTable: ListTable = {
  name: 'stripe_event',
  nullable: [],
  kinds: Object.fromEntries(eventColumns.map(({ name, kind }) => [name, kind])),
  // No function of the row: on a distributed table a shard has another row type.
  document: () => `concat('{"id":', to_json(s.id), ',"type":', to_json(s.type),
    ',"account":', coalesce(to_json(s.account), 'null'), ',"livemode":', coalesce(to_json(s.livemode), 'null'),
    ',"api_version":', coalesce(to_json(s.api_version), 'null'), ',"created":', ${utc('s.created')},
    ',"received_at":', ${utc('s.received_at')}, ',"session_id":', to_json(s.session_id),
    ',"outcome":', to_json(s.outcome), '}')`,
};

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

const removeBatchSize = 10_000;
/** A hundred years: more than PostgreSQL's calendar is asked for. */
const maxRetentionDays = 36_500;

interface RemovedBatch {
  readonly removed: number;
  /** Events that were looked at. */
  readonly read: number;
  /** The position after the batch. */
  readonly received_at: string;
  readonly id: string;
}

export type StripeEventStore = ReturnType<typeof stripeEventStore>;

/** Reads the ledger of Stripe's events. */
export function stripeEventStore(database: Database) {
  /** Of several replicas one removes and the others find nothing to do: two at once could lock each other's rows. */
  function removeBatch(days: number, after: Pick<RemovedBatch, 'received_at' | 'id'>) {
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

  return {
    /** A page of the events that a query asks for. */
    list: listReader(database, eventTable),

    /** Returns whether any of some events of a session is in the ledger. */
    async hasAny(session: string, ids: readonly string[]): Promise<boolean> {
      const rows = await database.query({
        name: 'has-event',
        text: 'SELECT FROM stripe_event WHERE session_id = $1 AND id = ANY($2::text[]) LIMIT 1',
        values: [session, ids],
      });
      return rows.length > 0;
    },

    /** Seconds since the newest event was received; undefined when there is none. */
    async newestAge(): Promise<number | undefined> {
      const [row] = await database.query<{ age: number | null }>({
        name: 'newest-event-age',
        text: 'SELECT extract(epoch FROM now() - max(received_at))::float8 AS age FROM stripe_event',
        values: [],
      });
      return row?.age ?? undefined;
    },

    /**
     * Removes the events that the ledger has kept for some days, a batch at a time. An event that says that a delayed
     * payment failed stays while its session exists and is unpaid.
     *
     * @returns how many events.
     */
    async removeOld(days: number, signal?: AbortSignal): Promise<number> {
      let removed = 0;
      let position = { received_at: '-infinity', id: '' };
      for (;;) {
        const batch = await removeBatch(Math.min(days, maxRetentionDays), position);
        removed += batch?.removed ?? 0;
        if (!batch || batch.read < removeBatchSize || signal?.aborted) return removed;
        position = batch;
      }
    },
  };
}
