import { type EnumName, valuesOf } from './enums.js';
import type { ListColumn } from './filters.js';
import { defineList } from './list.js';
import { pageOf } from './list-schemas.js';
import { columns, Session } from './session.js';

/** The closed sets of Stripe. The service stores a value that Stripe adds later, but has no filter for it. */
const stripeStatuses = {
  status: ['open', 'complete', 'expired'],
  payment_status: ['paid', 'unpaid', 'no_payment_required'],
};

/** Columns outside the contract, from the raw Stripe object. */
const stripeColumns: readonly ListColumn[] = [
  ...Object.entries(stripeStatuses).map(([name, values]): ListColumn => {
    return { name, kind: 'text', nullable: true, values, lookups: ['exact', 'in'], subject: `Stripe's \`${name}\`` };
  }),
  {
    name: 'email',
    kind: 'text',
    nullable: true,
    lookups: ['exact', 'in'],
    subject: "the customer's e-mail address",
    note: 'This is the address that the shop prefilled (`customer_email`) or that the customer entered at the checkout. Case is ignored.',
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
    note: 'This is the address that the shop prefilled. The filter `email` also finds the address that the customer entered at the checkout.',
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
