import { eventColumns } from '../model/stripe.js';
import type { Database } from './engine/database.js';
import { listReader } from './list/page.js';
import type { ListTable } from './list/plan.js';

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

export type StripeEventStore = ReturnType<typeof stripeEventStore>;

/** Reads the ledger of Stripe's events. */
export function stripeEventStore(database: Database) {
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
  };
}
