import type { ListQuery } from '../model/list.js';
import { eventColumns } from '../model/stripe.js';
import type { Database } from './database.js';
import { type ListTable, listPage } from './list.js';

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
    list: (query: ListQuery) => listPage(database, eventTable, query),
  };
}
