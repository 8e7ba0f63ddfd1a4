import { type EnumName, valuesOf } from './enums.js';
import type { ListColumn } from './filters.js';
import { defineList, pageOf } from './list.js';
import { columns, Session } from './session.js';

/** Stripe's own closed sets. A value of tomorrow is stored, and not filtered by. */
const stripeStatuses = {
  status: ['open', 'complete', 'expired'],
  payment_status: ['paid', 'unpaid', 'no_payment_required'],
};

/** Outside the contract, taken from the raw object. */
const stripeColumns: readonly ListColumn[] = [
  ...Object.entries(stripeStatuses).map(([name, values]): ListColumn => {
    return { name, kind: 'text', nullable: true, values, lookups: ['exact', 'in'], subject: `Stripe's \`${name}\`` };
  }),
  {
    name: 'email',
    kind: 'text',
    nullable: true,
    lookups: ['exact', 'in'],
    subject: 'The address that the shop prefilled (`customer_email`) or that the customer typed at the checkout',
    note: 'Upper and lower case are the same.',
  },
  ...['customer_account', 'payment_link', 'invoice'].map((name): ListColumn => {
    return { name, kind: 'text', nullable: true, lookups: ['exact', 'in', 'isnull'], subject: `Stripe's \`${name}\`` };
  }),
];

const contractColumns: readonly ListColumn[] = columns.map(({ name, kind, nullable }) => ({
  name,
  kind,
  nullable,
  ...(kind === 'enum' && { values: valuesOf(name as EnumName) }),
  ...(name === 'payment_method_types' && { lookups: ['contains'] as const }),
  ...(name === 'customer_email' && {
    note: 'This is what the shop prefilled; `email` also finds the address that the customer typed at the checkout.',
  }),
}));

/** The list of sessions. */
export const sessionList = defineList({
  columns: [...contractColumns, ...stripeColumns],
  orderings: ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'],
  defaultOrdering: '-created',
  hasMetadata: true,
  includes: ['payment'],
});

export const SessionPage = pageOf(Session, 'PaginatedDjStripeCheckoutSessionList', 'A page of sessions.');
