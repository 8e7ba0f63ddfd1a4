import { Type } from 'typebox';
import type { ListColumn } from './filters.js';
import { defineList } from './list.js';
import { pageOf } from './list-schemas.js';
import { nullableBoolean, nullableText } from './nullable.js';

/** The ledger of Stripe's events: its columns, its list and its components. */

/** The columns of the ledger. The list of events has filters for all of them. */
export const eventColumns: readonly ListColumn[] = [
  { name: 'id', kind: 'text', nullable: false },
  { name: 'type', kind: 'text', nullable: false },
  { name: 'account', kind: 'text', nullable: true },
  { name: 'livemode', kind: 'boolean', nullable: true },
  { name: 'api_version', kind: 'text', nullable: true },
  { name: 'created', kind: 'timestamp', nullable: false },
  { name: 'received_at', kind: 'timestamp', nullable: false },
  { name: 'session_id', kind: 'text', nullable: false },
  { name: 'outcome', kind: 'text', nullable: false, values: ['applied', 'stale', 'deleted'] },
];

/** The list of the events in the ledger. */
export const eventList = defineList({
  columns: eventColumns,
  orderings: ['received_at'],
  defaultOrdering: '-received_at',
  hasMetadata: false,
  includes: [],
});

const LedgerEvent = Type.Object(
  {
    id: Type.String({ description: "Stripe's id of the event.", examples: ['evt_1MtwBwLkdIwHu7ix28a3tqPb'] }),
    type: Type.String({ description: 'The type of the event.', examples: ['checkout.session.completed'] }),
    account: nullableText('The connected account of the event. Null if there is none.', 'acct_1032D82eZvKYlo2C'),
    livemode: nullableBoolean('Whether the event is from live mode. False means test mode, null means unknown.', true),
    api_version: nullableText('The Stripe API version of the event. Null if unknown.', '2026-10-28.endive'),
    created: Type.String({ format: 'date-time', description: 'The time at which Stripe created the event.' }),
    received_at: Type.String({
      format: 'date-time',
      description: 'The time at which the service committed the event.',
    }),
    session_id: Type.String({ description: 'The id of the session in the event.', examples: ['cs_test_1'] }),
    outcome: Type.String({
      enum: ['applied', 'stale', 'deleted'],
      description: 'The result of the delivery, as in `StripeDelivery`.',
      examples: ['applied'],
    }),
  },
  { $id: 'StripeEvent', description: 'A Stripe event in the ledger.' },
);

const StripeEventPage = pageOf(LedgerEvent, 'PaginatedStripeEventList', 'A page of events.');

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const eventListComponents = [LedgerEvent, StripeEventPage];
