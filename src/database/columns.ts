import { type Column, type ColumnKind, columns, emptyValue } from '../model/session.js';
import { eventColumns as publishedEventColumns } from '../model/stripe.js';

/** Every column of every table: its name, its type, and where its value comes from. All lists of columns in SQL derive from here. */

/** PostgreSQL's type for each kind of published column. */
export const sqlTypes = {
  integer: 'bigint',
  enum: 'text',
  timestamp: 'timestamptz',
  text: 'text',
  boolean: 'boolean',
  map: 'jsonb',
} as const satisfies Readonly<Record<ColumnKind, string>>;

/** Names of columns, each with its type in SQL. */
export type ColumnTypes = Readonly<Record<string, string>>;

function typesOf(some: readonly { readonly name: string; readonly kind: ColumnKind }[]): ColumnTypes {
  return Object.fromEntries(some.map(({ name, kind }) => [name, sqlTypes[kind]]));
}

/** What clients and Stripe's states set of a session: the published columns that are not read-only. */
export const writtenTypes = typesOf(columns.filter(({ readOnly }) => !readOnly));

/** The published columns of a session, in the contract's order. */
export const publishedTypes = typesOf(columns);

/** What only Stripe's states set of a session: the raw object, what is taken from it, the stamp that orders states, the gaps. */
export const stripeTypes = {
  stripe_data: 'jsonb',
  status: 'text',
  payment_status: 'text',
  stripe_progress: 'smallint',
  stripe_second: 'bigint',
  stripe_event_id: 'text',
  stripe_api_version: 'text',
  stripe_gaps: 'jsonb',
} as const;

/** What PostgreSQL derives from the other columns of a session. */
export const generatedTypes = {
  document: 'text',
  checkout_email: 'text',
  customer_account: 'text',
  payment_link: 'text',
  invoice: 'text',
  stripe_document: 'text',
  stripe_livemode: 'boolean',
  created_day: 'date',
  payment_state: 'text',
  amount_total: 'bigint',
  currency: 'text',
} as const;

/** The columns of a tombstone: the row of a deleted session, whose version is 0. */
export const tombstoneTypes = { id: 'text', deleted_at: 'timestamptz' } as const;

/** What a session has beside its published columns and what is derived from others. */
export const privateTypes = { version: 'integer', ...stripeTypes } as const;

/** The columns of a live session that an export keeps and an import writes. */
export const liveSessionTypes = { ...publishedTypes, ...privateTypes } as const;

/** All columns of `checkout_session`. */
export const allSessionTypes = { ...liveSessionTypes, ...tombstoneTypes, ...generatedTypes } as const;

/** All columns of `stripe_event`, the ledger. */
export const ledgerTypes = typesOf(publishedEventColumns);

/** All columns of `stripe_progress`. */
export const progressTypes = { task: 'text', state: 'jsonb', updated_at: 'timestamptz' } as const;

/** Where values of djstripe_id come from. */
export const djstripeIdSequence = 'checkout_session_djstripe_id_seq';

/** Where the numbers of changes come from. */
export const changeSequence = 'checkout_session_change_seq_seq';

/** Returns the names of columns, quoted. */
export function quotedNames(types: object): string[] {
  return Object.keys(types).map((name) => `"${name}"`);
}

/** Returns columns as `jsonb_to_recordset` declares them: names and types. */
export function columnDefinitions(types: ColumnTypes): string {
  return Object.entries(types)
    .map(([name, type]) => `"${name}" ${type}`)
    .join(', ');
}

/** What a tombstone has in the columns that lists are ordered by, as SQL: less than any session has, so that an index skips it. */
export const tombstoneOrder: Readonly<Record<string, string>> = {
  djstripe_id: '0',
  djstripe_created: "'-infinity'",
  djstripe_updated: "'-infinity'",
  created: "'-infinity'",
};

/** All tombstones look alike but for the id and the time, so that a full export and import gives the same bytes. */
const tombstone: Readonly<Record<string, string>> = {
  ...tombstoneOrder,
  billing_address_collection: "'auto'",
  mode: "'payment'",
  submit_type: "'auto'",
  payment_method_types: "'{}'",
  version: '0',
};

function tombstoneValue(name: string): string {
  const column = columns.find((one: Column) => one.name === name);
  return tombstone[name] ?? (column && emptyValue(column) === '' ? "''" : 'NULL');
}

/** The columns of a tombstone beside the id and the time of its deletion, each with its value as SQL. */
export const tombstoneValues: readonly (readonly [name: string, value: string])[] = Object.keys(liveSessionTypes)
  .filter((name) => name !== 'id')
  .map((name) => [name, tombstoneValue(name)]);
