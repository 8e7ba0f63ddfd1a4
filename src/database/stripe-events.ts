import { eventColumns } from '../model/stripe.js';
import type { Database } from './database.js';
import { type ListTable, listReader } from './list.js';

const eventTable: ListTable = {
  name: 'stripe_event',
  nullable: [],
  kinds: Object.fromEntries(eventColumns.map(({ name, kind }) => [name, kind])),
  document: () => 'stripe_event_document(s)',
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
