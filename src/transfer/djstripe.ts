import { isDeepStrictEqual } from 'node:util';
import type { SessionWrite } from '../model/session.js';
import { type Origin, type Translation, translate } from '../stripe/translate.js';
import type { DjstripeRow } from './djstripe-tables.js';
import type { ImportEntry } from './ndjson.js';
import { type ParsedItem, sessionItem } from './records.js';

/** From dj-stripe's rows to what an import takes in. Pure. */

type Fields = Record<string, unknown>;

const mapNames = [
  ...['metadata', 'display_items', 'payment_method_types', 'stripe_data', 'line_items', 'shipping_address_collection'],
  ...['shipping_cost', 'shipping_details', 'shipping_options', 'total_details'],
];

/** The columns of Stripe's that dj-stripe has from 2.8 to 2.9, beside those of the contract. */
export const paymentColumns = [
  ...['amount_subtotal', 'amount_total', 'currency', 'line_items', 'payment_status', 'setup_intent', 'status', 'url'],
  ...['shipping_address_collection', 'shipping_cost', 'shipping_details', 'shipping_options', 'total_details'],
];

/** What the rows had beside the sessions themselves, over all that were read. */
export interface DjstripeCounts {
  /** Rows with a column that differs from the Stripe object in the same row. */
  edited: number;
  /** Rows without anything of Stripe's object beside the contract's columns. */
  withoutPayment: number;
  /** References by number to objects that are not in the file. */
  unresolved: number;
}

export const newDjstripeCounts = (): DjstripeCounts => ({ edited: 0, withoutPayment: 0, unresolved: 0 });

/** The columns as Stripe's object has them: what dj-stripe wrote as "" is null there, and `created` is in epoch seconds. */
function asStripeObject(row: DjstripeRow): Fields {
  const fields: Fields = { object: 'checkout.session' };
  for (const [name, value] of Object.entries(row)) {
    if (name === 'stripe_data' || value === undefined) continue;
    if (mapNames.includes(name)) fields[name] = typeof value === 'string' ? JSON.parse(value) : value;
    else fields[name] = value === '' ? null : value;
  }
  if (fields.created !== undefined) {
    const milliseconds = Date.parse(String(fields.created));
    fields.created = Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000);
  }
  return fields;
}

/** Stripe's object of a row and its JSON, where that is at hand; dj-stripe's default for it is `{}`. */
function sentObjectOf({ id, stripe_data }: DjstripeRow): { object: Fields; json?: string } | undefined {
  const value = typeof stripe_data === 'string' ? JSON.parse(stripe_data) : stripe_data;
  if (value === null || typeof value !== 'object' || value.object !== 'checkout.session') return undefined;
  if (value.id !== id) return { object: { ...value, id } };
  return typeof stripe_data === 'string' ? { object: value, json: stripe_data } : { object: value };
}

/** Stripe's object as far as the columns tell it; undefined where none of them says more than the contract does. */
function objectOfColumns(columns: Fields): Fields | undefined {
  // The setup intent is left from 2.10, where nothing else is.
  if (!paymentColumns.some((name) => name !== 'setup_intent' && (columns[name] ?? null) !== null)) return undefined;
  const names = Object.keys(columns).filter(
    (name) => name !== 'description' && !name.startsWith('djstripe_') && (name !== 'display_items' || columns[name]),
  );
  return Object.fromEntries(names.map((name) => [name, columns[name]]));
}

/** What dj-stripe has in a column is its own, where Stripe's object says something else. */
function isEdited(columns: Partial<SessionWrite>, sent: SessionWrite): boolean {
  return Object.entries(columns).some(([name, value]) => !isDeepStrictEqual(value, sent[name as keyof SessionWrite]));
}

interface ParsedRow {
  readonly parsed: ParsedItem;
  readonly projections: Translation['projections'];
  readonly isEdited?: boolean;
  readonly hasPayment?: boolean;
}

/**
 * Reads a row. Up to 2.7 dj-stripe keeps the contract's columns, in 2.8 those of the payment too, from 2.9
 * `stripe_data` beside its columns, of which few are left from 2.10. A column stands for itself, as the shop may have
 * changed it; Stripe's object fills in what has no column.
 *
 * @param isFromDatabase whether PostgreSQL wrote the text of the object, without `client_secret`: it is stored as it is.
 */
export function parseDjstripeRow(row: DjstripeRow, defaultAccount?: string, isFromDatabase = false): ParsedRow {
  let columns: Fields;
  let sent: ReturnType<typeof sentObjectOf>;
  try {
    columns = asStripeObject(row);
    sent = sentObjectOf(row);
  } catch {
    return { parsed: { fault: 'has a column whose text is not JSON' }, projections: [] };
  }
  const { djstripe_owner_account: account } = columns;
  const origin: Origin = {
    account: typeof account === 'string' ? account : defaultAccount,
    second: Math.floor(Date.parse(String(row.djstripe_updated)) / 1000),
    eventId: '',
  };
  // Display items of its own stand before the line items that would fill them.
  const { line_items, ...others } = columns;
  const own = translate(columns.display_items ? others : columns, origin);
  if (!own) return { parsed: { fault: 'has no id that a session can have' }, projections: [] };
  const made = sent ? undefined : objectOfColumns(columns);
  const object = sent?.object ?? made;
  const stripe = object && translate(object, origin, isFromDatabase ? sent?.json : undefined);
  const base: SessionWrite = { ...(stripe ?? own).state.defaults, ...stripe?.state.carried };
  const session: SessionWrite = {
    ...base,
    ...own.state.carried,
    ...(typeof row.created === 'string' && { created: row.created }),
    description: typeof row.description === 'string' && row.description !== '' ? row.description : null,
  };
  const { djstripe_created, djstripe_updated } = row;
  const kept = { djstripe_id: Number(row.djstripe_id), djstripe_created, djstripe_updated };
  return {
    parsed: sessionItem(session, kept, stripe?.state ?? { ...own.state, raw: null }),
    projections: (stripe ?? own).projections,
    isEdited: sent !== undefined && isEdited(own.state.carried, base),
    hasPayment: stripe !== undefined,
  };
}

export interface DjstripeOptions {
  /** The owner of what has none. */
  readonly account?: string | undefined;
  /** Whether sessions of a mode are taken in; dj-stripe has both in one table. */
  readonly acceptsMode: (livemode: boolean) => boolean;
  /** Told of what the contract cannot hold. */
  readonly onProjection: (id: string, projections: Translation['projections']) => void;
  readonly counts: DjstripeCounts;
}

/** Reads a row as an import takes it in, and counts what it had beside the session. */
export function djstripeItem(
  given: DjstripeRow,
  { account, acceptsMode, onProjection, counts }: DjstripeOptions,
  isFromDatabase = false,
): ParsedItem {
  if (typeof given.livemode === 'boolean' && !acceptsMode(given.livemode)) return { ignored: true };
  // A number says nothing to Stripe: where its object has the id, that stands.
  const unresolved = references.filter((name) => typeof given[name] === 'number');
  counts.unresolved += unresolved.length;
  const row =
    unresolved.length === 0
      ? given
      : (Object.fromEntries(Object.entries(given).filter(([name]) => !unresolved.includes(name))) as DjstripeRow);
  const { parsed, projections, isEdited = false, hasPayment = true } = parseDjstripeRow(row, account, isFromDatabase);
  if (projections.length > 0) onProjection(String(row.id), projections);
  if (isEdited) counts.edited += 1;
  if (!hasPayment) counts.withoutPayment += 1;
  return parsed;
}

const references = ['customer', 'payment_intent', 'setup_intent', 'subscription', 'djstripe_owner_account'];

/**
 * Whether a value is a row as an API over dj-stripe's whole model gives it: with more than the contract's columns, or with
 * numbers in place of Stripe's ids.
 */
export function isDjstripeRow(value: Readonly<Record<string, unknown>>): value is DjstripeRow {
  if (!Object.hasOwn(value, 'djstripe_id') || Object.hasOwn(value, 'kind') || Object.hasOwn(value, 'object'))
    return false;
  return (
    ['stripe_data', ...paymentColumns].some((name) => Object.hasOwn(value, name)) ||
    references.some((name) => typeof value[name] === 'number')
  );
}

/** The elements of an import from the rows of dj-stripe's table. */
export async function* djstripeEntries(
  rows: AsyncIterable<DjstripeRow>,
  options: DjstripeOptions,
): AsyncGenerator<ImportEntry> {
  for await (const row of rows)
    yield { place: `djstripe_id ${row.djstripe_id}`, parsed: djstripeItem(row, options, true) };
}
