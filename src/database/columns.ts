import { eventColumns as publishedEventColumns } from '../model/event-list.js';
import { type Column, type ColumnKind, columns, emptyValue } from '../model/session.js';

/** Every column of every table, with its SQL type and the source of its value. All column lists in SQL derive from here. */

/** PostgreSQL's type for each kind of published column. */
export const sqlTypes = {
  integer: 'bigint',
  enum: 'text',
  timestamp: 'timestamptz',
  text: 'text',
  boolean: 'boolean',
  map: 'jsonb',
} as const satisfies Readonly<Record<ColumnKind, string>>;

/** SQL types by column name. */
export type ColumnTypes = Readonly<Record<string, string>>;

function typesOf(list: readonly { readonly name: string; readonly kind: ColumnKind }[]): ColumnTypes {
  return Object.fromEntries(list.map(({ name, kind }) => [name, sqlTypes[kind]]));
}

/** The columns that both clients and Stripe's states set: published and not read-only. */
export const writtenTypes = typesOf(columns.filter(({ readOnly }) => !readOnly));

/** The published columns of a session, in the contract's order. */
export const publishedTypes = typesOf(columns);

/** The columns that only Stripe's states set: the raw object, two of its properties, the stamp of the state, and the gaps. */
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

/** The generated columns: PostgreSQL derives them from the other columns of the row. */
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

/** The columns that an export keeps of a tombstone, the row of a deleted session. Its version is 0. */
export const tombstoneTypes = { id: 'text', deleted_at: 'timestamptz' } as const;

/** The columns of a live session that are neither published nor generated. */
export const privateTypes = { version: 'integer', ...stripeTypes } as const;

/** The columns of a live session that an export keeps and an import writes. */
export const liveSessionTypes = { ...publishedTypes, ...privateTypes } as const;

/** All columns of `checkout_session`. */
export const allSessionTypes = { ...liveSessionTypes, ...tombstoneTypes, ...generatedTypes } as const;

/** All columns of `stripe_event`, the ledger. */
export const ledgerTypes = typesOf(publishedEventColumns);

/** All columns of `stripe_progress`. */
export const progressTypes = { task: 'text', state: 'jsonb', updated_at: 'timestamptz' } as const;

/** The sequence that djstripe_id is drawn from. */
export const djstripeIdSequence = 'checkout_session_djstripe_id_seq';

/** The sequence that numbers the changes of the feed. */
export const changeSequence = 'checkout_session_change_seq_seq';

/** Returns the quoted names of columns. */
export function quotedNames(types: object): string[] {
  return Object.keys(types).map((name) => `"${name}"`);
}

/** Returns the column definition list of `jsonb_to_recordset`: names and types. */
export function columnDefinitions(types: ColumnTypes): string {
  return Object.entries(types)
    .map(([name, type]) => `"${name}" ${type}`)
    .join(', ');
}

/**
 * The SQL values of a tombstone in the columns that lists are ordered by. They are lower than any session's, so an index scan
 * skips all tombstones as one range.
 */
export const tombstoneOrder: Readonly<Record<string, string>> = {
  djstripe_id: '0',
  djstripe_created: "'-infinity'",
  djstripe_updated: "'-infinity'",
  created: "'-infinity'",
};

/** All tombstones are equal except for id and deleted_at, so a full export and import gives the same bytes. */
const nonEmptyTombstoneValues: Readonly<Record<string, string>> = {
  ...tombstoneOrder,
  billing_address_collection: "'auto'",
  mode: "'payment'",
  submit_type: "'auto'",
  payment_method_types: "'{}'",
  version: '0',
};

function tombstoneValue(name: string): string {
  const column = columns.find((published: Column) => published.name === name);
  return nonEmptyTombstoneValues[name] ?? (column && emptyValue(column) === '' ? "''" : 'NULL');
}

/** The SQL value of each column of a tombstone, except id and deleted_at. */
export const tombstoneValues: readonly (readonly [name: string, value: string])[] = Object.keys(liveSessionTypes)
  .filter((name) => name !== 'id')
  .map((name) => [name, tombstoneValue(name)]);
