import { isDeepStrictEqual } from 'node:util';
import type { SessionWrite } from '../model/session.js';
import { type Origin, type Translation, translate } from '../stripe/translate.js';
import type { DjstripeRow } from './djstripe-tables.js';
import type { ImportEntry } from './import-file.js';
import type { JsonObject, ParsedItem } from './import-item.js';
import { sessionItem } from './parse-item.js';

/** Converts dj-stripe's rows to import items. Pure. */

const mapNames = [
  ...['metadata', 'display_items', 'payment_method_types', 'stripe_data', 'line_items', 'shipping_address_collection'],
  ...['shipping_cost', 'shipping_details', 'shipping_options', 'total_details'],
];

/** Stripe's columns beyond the contract that dj-stripe 2.8 and 2.9 have. */
const paymentColumns = [
  ...['amount_subtotal', 'amount_total', 'currency', 'line_items', 'payment_status', 'setup_intent', 'status', 'url'],
  ...['shipping_address_collection', 'shipping_cost', 'shipping_details', 'shipping_options', 'total_details'],
];

/** Counts of remarkable rows in an import. */
export interface DjstripeCounts {
  /** Rows with a column that differs from the row's Stripe object. */
  edited: number;
  /** Rows with nothing of Stripe's object beyond the contract's columns. */
  withoutPayment: number;
  /** References by number whose object is not in the file. */
  unresolved: number;
}

export const newDjstripeCounts = (): DjstripeCounts => ({ edited: 0, withoutPayment: 0, unresolved: 0 });

/** Converts a row's columns to a Stripe object: `""` becomes null, maps are parsed, and `created` becomes epoch seconds. */
function asStripeObject(row: DjstripeRow): JsonObject {
  const fields: Record<string, unknown> = { object: 'checkout.session' };
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

/**
 * Returns the Stripe object that a row stores, with its JSON when the row has it as text. Returns undefined for dj-stripe's
 * default `{}`.
 */
function storedObjectOf({ id, stripe_data }: DjstripeRow): { object: JsonObject; json?: string } | undefined {
  const value = typeof stripe_data === 'string' ? JSON.parse(stripe_data) : stripe_data;
  if (value === null || typeof value !== 'object' || value.object !== 'checkout.session') return undefined;
  if (value.id !== id) return { object: { ...value, id } };
  return typeof stripe_data === 'string' ? { object: value, json: stripe_data } : { object: value };
}

/** Builds a Stripe object from the columns. Returns undefined when they hold nothing beyond the contract. */
function objectOfColumns(columns: JsonObject): JsonObject | undefined {
  // From dj-stripe 2.10 on setup_intent is the only such column, and does not tell the payment.
  if (!paymentColumns.some((name) => name !== 'setup_intent' && (columns[name] ?? null) !== null)) return undefined;
  const names = Object.keys(columns).filter(
    (name) => name !== 'description' && !name.startsWith('djstripe_') && (name !== 'display_items' || columns[name]),
  );
  return Object.fromEntries(names.map((name) => [name, columns[name]]));
}

/** Whether a column differs from Stripe's object, because the shop edited it. */
function isEdited(columns: Partial<SessionWrite>, stripe: SessionWrite): boolean {
  return Object.entries(columns).some(([name, value]) => !isDeepStrictEqual(value, stripe[name as keyof SessionWrite]));
}

interface ParsedRow {
  readonly parsed: ParsedItem;
  readonly projections: Translation['projections'];
  readonly isEdited?: boolean;
  readonly hasPayment?: boolean;
}

/**
 * Parses a row of any dj-stripe version. Up to 2.7 it has the contract's columns, in 2.8 also the payment's, from 2.9 also
 * `stripe_data`; from 2.10 few columns are left beside that. A column wins over the Stripe object, because the shop may
 * have edited it. The Stripe object supplies the rest.
 *
 * @param isFromDatabase whether PostgreSQL wrote the object's JSON, without `client_secret`. It is then stored unchanged.
 */
function parseDjstripeRow(row: DjstripeRow, defaultAccount?: string, isFromDatabase = false): ParsedRow {
  let columns: JsonObject;
  let stored: ReturnType<typeof storedObjectOf>;
  try {
    columns = asStripeObject(row);
    stored = storedObjectOf(row);
  } catch {
    return { parsed: { fault: 'has a column whose text is not JSON' }, projections: [] };
  }
  const { djstripe_owner_account: account } = columns;
  const origin: Origin = {
    account: typeof account === 'string' ? account : defaultAccount,
    second: Math.floor(Date.parse(String(row.djstripe_updated)) / 1000),
    eventId: '',
  };
  // translate() prefers line_items, but the row's own display_items win here.
  const { line_items, ...others } = columns;
  const fromColumns = translate(columns.display_items ? others : columns, origin);
  if (!fromColumns) return { parsed: { fault: 'has no valid session id' }, projections: [] };
  const object = stored ? stored.object : objectOfColumns(columns);
  const fromObject = object && translate(object, origin, isFromDatabase ? stored?.json : undefined);
  const objectSession: SessionWrite = { ...(fromObject ?? fromColumns).state.defaults, ...fromObject?.state.carried };
  const session: SessionWrite = {
    ...objectSession,
    ...fromColumns.state.carried,
    ...(typeof row.created === 'string' && { created: row.created }),
    description: typeof row.description === 'string' && row.description !== '' ? row.description : null,
  };
  const { djstripe_created, djstripe_updated } = row;
  const readOnly = { djstripe_id: Number(row.djstripe_id), djstripe_created, djstripe_updated };
  return {
    parsed: sessionItem(session, readOnly, fromObject?.state ?? { ...fromColumns.state, raw: null }),
    projections: (fromObject ?? fromColumns).projections,
    isEdited: stored !== undefined && isEdited(fromColumns.state.carried, objectSession),
    hasPayment: fromObject !== undefined,
  };
}

export interface DjstripeOptions {
  /** The owner of rows that name none. */
  readonly account?: string | undefined;
  /** Whether sessions of a mode are imported. dj-stripe has both modes in one table. */
  readonly acceptsMode: (livemode: boolean) => boolean;
  /** Called for values that the contract cannot hold. */
  readonly onProjection: (id: string, projections: Translation['projections']) => void;
  readonly counts: DjstripeCounts;
}

/** Converts a row to an import item, and counts what is remarkable. Ignores a row of a mode that is not imported. */
export function djstripeItem(
  original: DjstripeRow,
  { account, acceptsMode, onProjection, counts }: DjstripeOptions,
  isFromDatabase = false,
): ParsedItem {
  if (typeof original.livemode === 'boolean' && !acceptsMode(original.livemode)) return { ignored: true };
  // A number is no Stripe id. Drop the column, so that an id in the Stripe object takes its place.
  const unresolved = references.filter((name) => typeof original[name] === 'number');
  counts.unresolved += unresolved.length;
  const row =
    unresolved.length === 0
      ? original
      : (Object.fromEntries(Object.entries(original).filter(([name]) => !unresolved.includes(name))) as DjstripeRow);
  const { parsed, projections, isEdited = false, hasPayment = true } = parseDjstripeRow(row, account, isFromDatabase);
  if (projections.length > 0) onProjection(String(row.id), projections);
  if (isEdited) counts.edited += 1;
  if (!hasPayment) counts.withoutPayment += 1;
  return parsed;
}

const references = ['customer', 'payment_intent', 'setup_intent', 'subscription', 'djstripe_owner_account'];

/**
 * Whether a value is a row from an API over dj-stripe's whole model: it has more than the contract's columns, or references
 * by number instead of Stripe's ids.
 */
export function isDjstripeRow(value: Readonly<Record<string, unknown>>): value is DjstripeRow {
  if (!Object.hasOwn(value, 'djstripe_id') || Object.hasOwn(value, 'kind') || Object.hasOwn(value, 'object'))
    return false;
  return (
    ['stripe_data', ...paymentColumns].some((name) => Object.hasOwn(value, name)) ||
    references.some((name) => typeof value[name] === 'number')
  );
}

/** Converts the rows of dj-stripe's table to import entries. */
export async function* djstripeEntries(
  rows: AsyncIterable<DjstripeRow>,
  options: DjstripeOptions,
): AsyncGenerator<ImportEntry> {
  for await (const row of rows)
    yield { place: `djstripe_id ${row.djstripe_id}`, parsed: djstripeItem(row, options, true) };
}
