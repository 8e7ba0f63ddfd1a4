import { type EnumName, valuesOf } from './enums.js';
import type { ListColumn } from './filters.js';
import { defineList, pageOf } from './list.js';
import { columns, Session } from './session.js';

/** Outside the contract, taken from the raw object: everyone fulfils orders on them. */
const fulfilment: readonly ListColumn[] = ['status', 'payment_status'].map((name) => ({
  name,
  kind: 'text',
  nullable: true,
  lookups: ['exact', 'in'],
}));

const published: readonly ListColumn[] = columns.map(({ name, kind, nullable }) => ({
  name,
  kind,
  nullable,
  ...(kind === 'enum' && { values: valuesOf(name as EnumName) }),
  ...(name === 'payment_method_types' && { lookups: ['contains'] as const }),
}));

/** The list of sessions. */
export const sessionList = defineList({
  columns: [...published, ...fulfilment],
  orderings: ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'],
  defaultOrdering: '-created',
  hasMetadata: true,
  includes: ['payment'],
});

export const SessionPage = pageOf(Session, 'PaginatedDjStripeCheckoutSessionList', 'A page of sessions.');
