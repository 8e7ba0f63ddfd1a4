import { isDeepStrictEqual } from 'node:util';

/**
 * The contract as a plain program: sessions in a map, one request after another. It shares no code with the service, so
 * the same error would have to be made twice. Values the service chooses (djstripe_id, times, ETags) come from its
 * answers and are checked against the contract's rules.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = Record<string, Json>;

/** Stripe's session object at some time. */
export interface RawState extends Fields {
  id: string;
  status: string | null;
  payment_status: string;
}

/** Progress, second, event id, API version. Stamps compare from left to right. */
export type Stamp = [number, number, string, string];

/** The values the service chose. */
export interface ChosenValues {
  djstripe_id: number;
  djstripe_created: string;
  djstripe_updated: string;
}

export interface ModelSession {
  fields: Fields;
  etag: string;
  /** Unknown for a session that an event created, until it is read. */
  row?: ChosenValues;
  raw?: RawState;
  stamp?: Stamp;
  /** For each column, the stamp of the state it was last taken from. */
  origins?: Record<string, Stamp>;
}

export interface LedgerEntry {
  id: string;
  type: string;
  session_id: string;
  outcome: string;
  api_version: string;
  created: number;
}

/** The envelope of a Stripe event. */
export interface EventEnvelope {
  id: string;
  type: string;
  api_version: string | null;
}

export interface Preconditions {
  match?: string[] | '*' | undefined;
  noneMatch?: string[] | '*' | undefined;
}

const emptyFields: Fields = {
  ...{ livemode: null, created: null, metadata: null, description: null, cancel_url: '', client_reference_id: '' },
  ...{ customer_email: '', display_items: null, locale: '', success_url: '', djstripe_owner_account: null },
  ...{ customer: null, payment_intent: null, subscription: null },
};

const requiredEnums = { billing_address_collection: 'auto', mode: 'payment', submit_type: 'auto' };

const plainStrings = ['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'];
const maps = ['payment_method_types', 'display_items'];

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const keyedByPosition = (value: Json): Json => (Array.isArray(value) ? { ...value } : value);

/** Implements RFC 7396, section 2, literally. */
function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: { [key: string]: Json } = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** Converts any RFC 3339 time to the service's form: UTC, without trailing zeros in the fraction. */
export function wireTime(text: string): string {
  const [, fraction = ''] = /\.(\d+)/.exec(text) ?? [];
  const digits = fraction.replace(/0+$/, '');
  return `${new Date(text).toISOString().slice(0, 19)}${digits && `.${digits}`}+00:00`;
}

const timeOf = (value: Json): Json => (typeof value === 'string' ? wireTime(value) : value);

/** Returns the fields that the body of a POST or PUT stores. */
export function storedFields(body: Fields): Fields {
  const fields = { ...emptyFields, ...body };
  for (const name of plainStrings) fields[name] ??= '';
  for (const name of maps) fields[name] = keyedByPosition(fields[name] as Json);
  fields.created = timeOf(fields.created as Json);
  return fields;
}

/** Returns the fields after a merge patch. */
export function patchedFields(before: Fields, patch: Fields): Fields {
  const after = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    if (plainStrings.includes(name)) after[name] = value ?? '';
    else if (name === 'created') after[name] = timeOf(value);
    else if (maps.includes(name) && Array.isArray(value)) after[name] = keyedByPosition(value);
    else after[name] = isObject(value) ? mergePatch(before[name], value) : value;
  }
  return after;
}

/** Returns whether If-Match and If-None-Match allow a write of the stored state. */
export function holds({ match, noneMatch }: Preconditions, etag: string | undefined): boolean {
  if (match !== undefined && (etag === undefined || (match !== '*' && !match.includes(etag)))) return false;
  if (noneMatch === undefined || etag === undefined) return true;
  return noneMatch !== '*' && !noneMatch.includes(etag);
}

const idOf = (value: Json): Json => (isObject(value) ? (value.id as Json) : value);

/** Returns the columns that Stripe's object carries. */
function projected(raw: RawState): Fields {
  const { id: _, status, payment_status, line_items, client_secret, ...rest } = raw;
  const fields: Fields = {};
  for (const [name, value] of Object.entries(rest)) {
    if (name === 'created') fields.created = wireTime(new Date(1000 * (value as number)).toISOString());
    else if (name === 'payment_method_types') fields[name] = keyedByPosition(value);
    else if (name === 'customer') fields[name] = idOf(value);
    else if (name === 'submit_type')
      fields[name] = ['auto', 'book', 'donate', 'pay'].includes(String(value)) ? value : 'auto';
    else if (plainStrings.includes(name)) fields[name] = value ?? '';
    else if (name in emptyFields || name in requiredEnums) fields[name] = value;
  }
  if (isObject(line_items)) fields.display_items = keyedByPosition(line_items.data as Json);
  return fields;
}

function progressOf({ status, payment_status }: RawState, type: string): number {
  const isPaid = payment_status !== 'unpaid';
  if (status === 'open') return 0;
  if (status === 'expired') return 2;
  if (status === 'complete') return isPaid ? 2 : 1;
  if (isPaid) return 2;
  return type.startsWith('checkout.session.completed') || type.startsWith('checkout.session.async') ? 1 : 0;
}

function isBefore(one: Stamp, other: Stamp): boolean {
  for (const place of [0, 1, 2, 3] as const) {
    if (one[place] !== other[place]) return one[place] < other[place];
  }
  return false;
}

/** The effect of Stripe's state on the mirror. */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

export class Mirror {
  readonly sessions = new Map<string, ModelSession>();
  readonly tombstones = new Set<string>();
  readonly ledger: LedgerEntry[] = [];
  /** Every ETag ever given. None may return for another state. */
  readonly tags = new Set<string>();
  lastNumber = 0;

  put(id: string, fields: Fields, etag: string, row: ChosenValues): void {
    const before = this.sessions.get(id);
    this.tombstones.delete(id);
    this.sessions.set(id, { ...before, fields: { ...fields, id }, etag, row });
  }

  remove(id: string): void {
    this.sessions.delete(id);
    this.tombstones.add(id);
  }

  /**
   * Applies a state that an event brought or, without an event, that a refresh fetched.
   *
   * @returns the outcome, and the session's fields if they changed
   */
  apply(raw: RawState, second: number, event?: EventEnvelope): { outcome: Outcome; changed?: Fields } {
    const { id } = raw;
    const version = event?.api_version ?? '';
    const logged = this.ledger.find((entry) => entry.id === event?.id && entry.session_id === id);
    if (logged?.api_version === version) return { outcome: 'duplicate' };
    const result = this.#applied(raw, [progressOf(raw, event?.type ?? ''), second, event?.id ?? '', version]);
    const { outcome } = result;
    if (!event) return result;
    if (!logged) {
      this.ledger.unshift({
        id: event.id,
        type: event.type,
        session_id: id,
        outcome,
        api_version: version,
        created: second,
      });
      return result;
    }
    // The event arrived before in another API version.
    if (logged.api_version < version) logged.api_version = version;
    if (outcome !== 'applied') return { outcome: 'duplicate' };
    logged.outcome = outcome;
    return result;
  }

  /**
   * Returns the event that Stripe created last. Within one second, the outcome of a delayed payment wins, then the
   * greatest id.
   */
  lastEvent(sessionId: string): LedgerEntry | undefined {
    const rank = ({ created, type, id }: LedgerEntry) =>
      `${created} ${type.startsWith('checkout.session.async_payment_') ? 1 : 0} ${id}`;
    return this.ledger
      .filter((entry) => entry.session_id === sessionId)
      .sort((one, other) => (rank(one) < rank(other) ? 1 : -1))[0];
  }

  #applied(raw: RawState, stamp: Stamp): { outcome: Outcome; changed?: Fields } {
    const { client_secret, ...sent } = raw as RawState & { client_secret?: string };
    const stripeData = sent as RawState;
    const held = this.sessions.get(raw.id);
    if (!held && this.tombstones.has(raw.id)) return { outcome: 'deleted' };
    const before = held?.fields ?? { ...emptyFields, ...requiredEnums, payment_method_types: {}, id: raw.id };
    const isSame = isDeepStrictEqual(held?.stamp, stamp);
    // A second refresh within the same second counts if it differs.
    const isNewer = !held?.stamp || (isSame ? !isDeepStrictEqual(held.raw, stripeData) : isBefore(held.stamp, stamp));
    const fields: Fields = { ...before };
    const origins = { ...held?.origins };
    let isFilled = false;
    for (const [name, value] of Object.entries(projected(stripeData))) {
      const origin = origins[name];
      if (!isNewer && origin && !isBefore(origin, stamp)) continue;
      isFilled = true;
      fields[name] = value;
      origins[name] = stamp;
    }
    if (!isNewer && !isFilled) return { outcome: 'stale' };
    const newest = isNewer ? { raw: stripeData, stamp } : {};
    const after = { etag: '', ...held, fields, origins, ...newest };
    const isChanged = !held || !isDeepStrictEqual([held.raw, held.fields], [after.raw, fields]);
    this.sessions.set(raw.id, after);
    return { outcome: 'applied', ...(isChanged && { changed: fields }) };
  }
}
