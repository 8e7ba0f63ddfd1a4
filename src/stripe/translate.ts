import { type EnumName, valuesOf } from '../model/enums.js';
import {
  type Column,
  emptyValue,
  isSessionId,
  maxLengthOf,
  type SessionWrite,
  writableColumns,
} from '../model/session.js';
import type { SessionState, Stamp } from '../model/stripe.js';
import { storable } from './storable.js';

/**
 * Translates Stripe's Checkout Session, in the shape of any API version since 2019, to the state that the mirror stores.
 * Pure. A value that the contract cannot hold is projected to one that it can hold, and reported. The raw object keeps the
 * value.
 */

/** The source of an object, and its place in the order of its session's states. */
export interface Origin {
  /** The owner: the connected account or the configured one. Undefined when unknown. */
  account?: string | undefined;
  /** The Stripe API version of the object's shape. */
  apiVersion?: string | undefined;
  /** Epoch seconds: an event's `created`, or for a snapshot the last whole second before the request. */
  second: number;
  /** The event's id; `''` for a snapshot. */
  eventId: string;
  /** The event's type; undefined for a snapshot. */
  type?: string | undefined;
}

/** A value that the contract cannot hold, so that the column has another one. */
export interface Projection {
  /** The column, or `stripe_data`. */
  readonly column: string;
  readonly reason: 'unknown enum value' | 'too long' | 'unstorable text' | 'wrong type';
}

export interface Translation {
  readonly state: SessionState;
  readonly projections: readonly Projection[];
}

type RawSession = Readonly<Record<string, unknown>>;

/**
 * Translates a Stripe object. Returns undefined when it is not a Checkout Session, or has an id that the mirror cannot
 * store.
 *
 * @param text JSON of the object that PostgreSQL wrote, without `client_secret`. It is stored unchanged.
 */
export function translate(object: unknown, origin: Origin, text?: string): Translation | undefined {
  if (!isRecord(object) || object.object !== 'checkout.session' || !isSessionId(object.id)) return undefined;
  const projections: Projection[] = [];
  // Never store client_secret: a browser can finish the session with it.
  const { client_secret, ...sent } = object;
  const onReplaced = () => void projections.push({ column: 'stripe_data', reason: 'unstorable text' });
  const { raw, json } = text === undefined ? storable(sent, onReplaced) : { raw: sent, json: text };
  const { id } = object;
  const carried: Record<string, unknown> = {};
  for (const column of writableColumns) {
    const value = column.name === 'id' ? undefined : carriedValue(column, raw, origin, projections);
    if (value !== undefined) carried[column.name] = value;
  }
  return {
    state: {
      id,
      carried: carried as Partial<SessionWrite>,
      defaults: { ...defaults, id },
      raw: json,
      status: textOrNull(raw.status),
      paymentStatus: textOrNull(raw.payment_status),
      apiVersion: origin.apiVersion ?? null,
      stamp: { progress: checkoutProgress(raw, origin.type), second: origin.second, eventId: origin.eventId },
    },
    projections,
  };
}

/** Returns a column's value in a raw object, or undefined when the object does not carry the column. */
function carriedValue(column: Column, raw: RawSession, { account }: Origin, projections: Projection[]): unknown {
  const { name } = column;
  const value = raw[name];
  switch (name) {
    case 'description':
      return undefined; // Stripe has no description of a session: this column is the user's.
    case 'mode':
      return value === undefined || value === null ? inferMode(raw) : enumValueOf(name, value, raw, projections);
    case 'djstripe_owner_account':
      return account;
    case 'created':
      return timestampOf(value);
    case 'payment_method_types':
      return value === undefined ? undefined : (mapOf(value) ?? {});
    case 'display_items':
      return lineItemsOf(raw);
    case 'customer':
    case 'payment_intent':
    case 'subscription':
      return value === undefined ? undefined : idOf(value);
    default:
      return value === undefined ? undefined : plainValueOf(column, value, raw, projections);
  }
}

function plainValueOf(column: Column, value: unknown, raw: RawSession, projections: Projection[]): unknown {
  switch (column.kind) {
    case 'enum':
      return enumValueOf(column.name as EnumName, value, raw, projections);
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'map':
      return mapOf(value) ?? null;
    default: {
      if (typeof value === 'string' && isWithin(value, maxLengthOf(column))) return value;
      if (value !== null) {
        projections.push({ column: column.name, reason: typeof value === 'string' ? 'too long' : 'wrong type' });
      }
      return emptyValue(column);
    }
  }
}

/** Whether a text has at most `maxLength` characters. PostgreSQL counts code points, JavaScript UTF-16 units. */
function isWithin(text: string, maxLength: number): boolean {
  return text.length <= maxLength || [...text].length <= maxLength;
}

/** Returns an enum's value. A value outside the closed set becomes Stripe's default `auto`; an unknown mode is inferred. */
function enumValueOf(name: EnumName, value: unknown, raw: RawSession, projections: Projection[]): string {
  if (typeof value === 'string' && valuesOf(name).includes(value)) return value;
  if (value === null) return 'auto';
  projections.push({ column: name, reason: 'unknown enum value' });
  return name === 'mode' ? (inferMode(raw) ?? 'payment') : 'auto';
}

/** Infers the mode from a subscription or a setup intent: only a session of that mode has one. */
function inferMode({ subscription, setup_intent }: RawSession): SessionWrite['mode'] | undefined {
  if (subscription) return 'subscription';
  return setup_intent ? 'setup' : undefined;
}

/** Values of a new session in the columns that its first state does not carry. */
const defaults = {
  ...Object.fromEntries(writableColumns.map((column) => [column.name, emptyValue(column)])),
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'auto',
  payment_method_types: {},
} as unknown as SessionWrite;

/** Returns how far the checkout has come. A session never goes back, so progress orders its states before their time. */
function checkoutProgress({ status, payment_status }: RawSession, type: string | undefined): Stamp['progress'] {
  const isPaid = payment_status === 'paid' || payment_status === 'no_payment_required';
  if (status === 'open') return 0;
  if (status === 'expired') return 2;
  if (status === 'complete') return isPaid ? 2 : 1;
  // API versions before 2021 have no status.
  if (isPaid) return 2;
  return type !== undefined && /^checkout\.session\.(completed|async_)/.test(type) ? 1 : 0;
}

function timestampOf(seconds: unknown): string | undefined {
  if (typeof seconds !== 'number') return undefined;
  const date = new Date(seconds * 1000);
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999 ? date.toISOString() : undefined;
}

/** Returns the id of a reference, which Stripe may have expanded to the object. */
function idOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.id === 'string' ? value.id : null;
}

/** Returns the expanded line items, or the display items of API versions before 2020-08-27. */
function lineItemsOf({ line_items, display_items }: RawSession): Record<string, unknown> | undefined {
  if (isRecord(line_items) && Array.isArray(line_items.data)) return mapOf(line_items.data);
  return mapOf(display_items);
}

/** Returns an object unchanged, and an array as an object keyed by position. */
function mapOf(value: unknown): Record<string, unknown> | undefined {
  if (Array.isArray(value)) return { ...value };
  return isRecord(value) ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
