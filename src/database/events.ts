import { eventColumns } from '../model/event-list.js';
import type { Database } from './engine/database.js';
import { listReader } from './list/page.js';
import type { ListTable } from './list/plan.js';

/**
 * Returns two arguments of concat() that write a time as a JSON string: the time in UTC without its closing quote, and the
 * offset with it. The result does not depend on the connection's time zone.
 */
const utcJsonSql = (time: string) => `left(to_json(${time} AT TIME ZONE 'UTC')::text, -1), '+00:00"'`;

const eventTable: ListTable = {
  name: 'stripe_event',
  nullable: [],
  kinds: Object.fromEntries(eventColumns.map(({ name, kind }) => [name, kind])),
  // Built from columns, not with row_to_json(s): on Citus a shard has another row type than the table.
  document: () => `concat('{"id":', to_json(s.id), ',"type":', to_json(s.type),
    ',"account":', coalesce(to_json(s.account), 'null'), ',"livemode":', coalesce(to_json(s.livemode), 'null'),
    ',"api_version":', coalesce(to_json(s.api_version), 'null'), ',"created":', ${utcJsonSql('s.created')},
    ',"received_at":', ${utcJsonSql('s.received_at')}, ',"session_id":', to_json(s.session_id),
    ',"outcome":', to_json(s.outcome), '}')`,
};

export type StripeEventStore = ReturnType<typeof stripeEventStore>;

/** Reads the ledger of Stripe's events. */
export function stripeEventStore(database: Database) {
  return {
    /** Reads a page of events. */
    list: listReader(database, eventTable),

    /** Returns whether the ledger has at least one of these events of a session. */
    async hasAny(session: string, ids: readonly string[]): Promise<boolean> {
      const rows = await database.query({
        name: 'has-event',
        text: 'SELECT FROM stripe_event WHERE session_id = $1 AND id = ANY($2::text[]) LIMIT 1',
        values: [session, ids],
      });
      return rows.length > 0;
    },

    /** Returns the seconds since the newest event was received, or undefined if the ledger is empty. */
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
