import { type EnumName, valuesOf } from '../model/enums.js';
import { textFault } from '../model/json.js';
import {
  type Column,
  emptyValue,
  isSessionId,
  maxLengthOf,
  type SessionWrite,
  writableColumns,
} from '../model/session.js';
import type { SessionState, Stamp } from '../model/stripe.js';

/**
 * From Stripe's Checkout Session, in the shape of any API version since 2019, to what the mirror stores. Pure.
 * What the contract cannot hold is projected, and noted; the raw object keeps it.
 */

/** Where an object came from, and what orders it among the states of its session. */
export interface Origin {
  /** The connected account, or the configured one; undefined when unknown. */
  account?: string | undefined;
  /** The Stripe API version that the object is shaped by. */
  apiVersion?: string | undefined;
  /** Epoch seconds: of an event its `created`, of a snapshot the whole second before it was asked for. */
  second: number;
  /** The event's id; `''` for a snapshot. */
  eventId: string;
  /** The event's type; undefined for a snapshot. */
  type?: string | undefined;
}

/** A value that the contract could not hold, and what became of it. */
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
 * Translates a Stripe object; undefined when it is no Checkout Session with an id that the mirror can hold.
 *
 * @param text the object as PostgreSQL wrote it, without `client_secret`, which is stored as it is.
 */
export function translate(object: unknown, origin: Origin, text?: string): Translation | undefined {
  if (!isRecord(object) || object.object !== 'checkout.session' || !isSessionId(object.id)) return undefined;
  const projections: Projection[] = [];
  // It lets a browser finish the session: no business of a mirror.
  const { client_secret, ...sent } = object;
  const { raw, json } = text === undefined ? storable(sent, projections) : { raw: sent, json: text };
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

/** The value of a column in a raw object; undefined when the object does not carry it. */
function carriedValue(column: Column, raw: RawSession, { account }: Origin, projections: Projection[]): unknown {
  const { name } = column;
  const value = raw[name];
  switch (name) {
    case 'description':
      return undefined; // Checkout Sessions have none; ours is the user's.
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

/** Whether a text has at most so many characters, as PostgreSQL counts them. */
function isWithin(text: string, length: number): boolean {
  return text.length <= length || [...text].length <= length;
}

/** The enums are closed: what Stripe has beyond them becomes its own default, an unknown mode is inferred. */
function enumValueOf(name: EnumName, value: unknown, raw: RawSession, projections: Projection[]): string {
  if (typeof value === 'string' && valuesOf(name).includes(value)) return value;
  if (value === null) return 'auto';
  projections.push({ column: name, reason: 'unknown enum value' });
  return name === 'mode' ? (inferMode(raw) ?? 'payment') : 'auto';
}

/** The mode of a session without one, where its subscription or setup intent tells; only those modes have them. */
function inferMode({ subscription, setup_intent }: RawSession): SessionWrite['mode'] | undefined {
  if (subscription) return 'subscription';
  return setup_intent ? 'setup' : undefined;
}

/** A new session has these in the columns that no state has carried: whichever state comes first. */
const defaults = {
  ...Object.fromEntries(writableColumns.map((column) => [column.name, emptyValue(column)])),
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'auto',
  payment_method_types: {},
} as unknown as SessionWrite;

/** Stripe's states never go back, so this orders them before their time does. */
function checkoutProgress({ status, payment_status }: RawSession, type: string | undefined): Stamp['progress'] {
  const isPaid = payment_status === 'paid' || payment_status === 'no_payment_required';
  if (status === 'open') return 0;
  if (status === 'expired') return 2;
  if (status === 'complete') return isPaid ? 2 : 1;
  // Versions before 2021 have no status.
  if (isPaid) return 2;
  return type !== undefined && /^checkout\.session\.(completed|async_)/.test(type) ? 1 : 0;
}

function timestampOf(seconds: unknown): string | undefined {
  if (typeof seconds !== 'number') return undefined;
  const date = new Date(seconds * 1000);
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999 ? date.toISOString() : undefined;
}

/** Stripe's id, or the id of the object that it was expanded to. */
function idOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.id === 'string' ? value.id : null;
}

/** Expanded line items, or the display items of versions before 2020-08-27. */
function lineItemsOf({ line_items, display_items }: RawSession): Record<string, unknown> | undefined {
  if (isRecord(line_items) && Array.isArray(line_items.data)) return mapOf(line_items.data);
  return mapOf(display_items);
}

/** An object as it is, an array keyed by position. */
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

/** How JSON.stringify writes the texts that PostgreSQL cannot hold. A text may also spell it out. */
const unstorableEscape = /\\u(?:0000|d[89a-f])/;

/** An object that PostgreSQL can hold, as nearly every one is at once, and its JSON. */
function storable(sent: RawSession, projections: Projection[]): { raw: RawSession; json: string } {
  const json = JSON.stringify(sent);
  if (!unstorableEscape.test(json)) return { raw: sent, json };
  const raw = replaceUnstorable(sent, projections) as RawSession;
  return { raw, json: JSON.stringify(raw) };
}

/** U+0000 and halves of surrogate pairs, which PostgreSQL cannot hold, as U+FFFD. */
function replaceUnstorable(value: unknown, projections: Projection[]): unknown {
  const clean = (text: string): string => {
    if (textFault(text) === undefined) return text;
    projections.push({ column: 'stripe_data', reason: 'unstorable text' });
    return text.toWellFormed().replaceAll('\0', '\uFFFD');
  };
  const walk = (node: unknown): unknown => {
    if (typeof node === 'string') return clean(node);
    if (Array.isArray(node)) return node.map(walk);
    if (!isRecord(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([key, member]) => [clean(key), walk(member)]));
  };
  return walk(value);
}
