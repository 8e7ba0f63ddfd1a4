import { type TSchema, Type } from 'typebox';
import { privateTypes } from '../database/columns.js';
import type { Fault } from '../errors.js';
import { columns, isSessionId, type ReadOnlyColumn, SessionId, type SessionWrite } from '../model/session.js';
import { parseSession } from '../model/session-request.js';
import type { SessionState } from '../model/stripe.js';
import { parseTimestamp } from '../model/timestamp.js';
import { validator } from '../model/validator.js';
import { type EventBody, parseEvent } from '../stripe/ingest.js';

/** Reads what a line or an element of an import is. Pure. */

/** One thing to take in. Two of the same key must not be written together, nor two of the same djstripe_id. */
export type ImportItem = (
  | { readonly kind: 'object'; readonly object: Readonly<Record<string, unknown>> }
  | { readonly kind: 'delivery'; readonly body: EventBody }
  | { readonly kind: 'session'; readonly json: string; readonly raw?: string | undefined }
  | { readonly kind: 'tombstone' | 'event' | 'progress'; readonly json: string }
  | { readonly kind: 'sequence' }
) & {
  readonly key: string;
  readonly djstripeId?: number | undefined;
  /** Whether it is restored as it was, and so with no other number. */
  readonly isExact?: boolean;
};

/** An item, or why there is none: it is at fault, or of the mode that is not taken in. */
export type ParsedItem = ImportItem | { readonly fault: string } | { readonly ignored: true };

type JsonObject = Readonly<Record<string, unknown>>;

/** djstripe_id is an i32 in generated Rust clients. */
const maxDjstripeId = 2 ** 31 - 1;

const orNull = (schema: TSchema) => ({ ...schema, nullable: true }) as TSchema;
const time = Type.String({ format: 'date-time' });
const text = Type.String();
const djstripeId = Type.Integer({ minimum: 1, maximum: maxDjstripeId });
const times = { djstripe_created: time, djstripe_updated: time };

const checks = {
  kept: validator(
    Type.Object(
      Object.fromEntries(
        Object.entries({ djstripe_id: djstripeId, ...times }).map(([name, schema]) => [
          name,
          Type.Optional(orNull(schema)),
        ]),
      ),
    ),
    'body',
  ),
  session: validator(
    Type.Object({
      djstripe_id: djstripeId,
      ...times,
      version: Type.Integer({ minimum: 1, maximum: maxDjstripeId - 1 }),
      stripe_data: orNull(Type.Object({})),
      status: orNull(text),
      payment_status: orNull(text),
      stripe_progress: orNull(Type.Integer({ minimum: 0, maximum: 2 })),
      stripe_second: orNull(Type.Integer()),
      stripe_event_id: orNull(text),
      stripe_api_version: orNull(text),
      // Exports of earlier versions have none.
      stripe_gaps: Type.Optional(orNull(Type.Object({}))),
    } satisfies Record<keyof typeof privateTypes, TSchema> & Record<string, TSchema>),
    'body',
  ),
  tombstone: validator(Type.Object({ kind: text, id: SessionId, deleted_at: time }), 'body'),
  event: validator(
    Type.Object({
      session_id: SessionId,
      ...{ id: text, type: text, account: orNull(text), livemode: orNull(Type.Boolean()), api_version: orNull(text) },
      ...{ created: time, received_at: time, outcome: text },
    }),
    'body',
  ),
  progress: validator(Type.Object({ task: text, state: Type.Unsafe<unknown>({}), updated_at: time }), 'body'),
  sequence: validator(Type.Object({ djstripe_id: djstripeId }), 'body'),
};

function faultOf(faults: readonly Fault[]): { fault: string } {
  return { fault: faults.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`.trim()).join('; ') };
}

/** The epoch second that a time is in. */
function secondOf(timestamp: string): number {
  return Math.floor(Date.parse(timestamp) / 1000);
}

/**
 * Reads a line or an element: a Stripe object, an event of Stripe's, a row in the contract's shape or a line of a
 * full export.
 *
 * @param json its text, where there is one: what is restored exactly is not rewritten.
 */
export function parseItem(value: unknown, json?: string): ParsedItem {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { fault: 'is not a JSON object' };
  const fields = value as JsonObject;
  if (Object.hasOwn(fields, 'object')) return parseStripeObject(fields);
  if (Object.hasOwn(fields, 'kind')) return parseExportLine(fields, json ?? JSON.stringify(fields));
  return parseContractRow(fields);
}

function parseStripeObject(fields: JsonObject): ParsedItem {
  const { object, id } = fields;
  if (object === 'event') {
    const parsed = parseEvent(fields);
    if ('fault' in parsed) return { fault: `is no event: ${parsed.fault}` };
    const { event: body } = parsed;
    const session = (body.data?.object as JsonObject | undefined)?.id;
    return { kind: 'delivery', key: typeof session === 'string' ? session : body.id, body };
  }
  if (object !== 'checkout.session') {
    return { fault: `is ${JSON.stringify(object)} of Stripe's, neither a checkout.session nor an event` };
  }
  return isSessionId(id) ? { kind: 'object', key: id, object: fields } : { fault: 'has no id that a session can have' };
}

/** What a row keeps that requests may not set. */
export type ReadOnlyFields = Readonly<Partial<Record<ReadOnlyColumn, unknown>>>;

/** What Stripe said of a row's session: its stamp, and its object where there is one. */
export type StripeState = Pick<SessionState, 'status' | 'paymentStatus' | 'stamp'> & { readonly raw: string | null };

/**
 * Reads a row in the contract's shape by the rules of a PUT, but for the empty enums that dj-stripe writes. It is
 * stamped with its djstripe_updated, so that what Stripe sent before does not go over it.
 */
export function parseContractRow(fields: JsonObject): ParsedItem {
  const parsed = parseSession(withoutEmptyEnums(fields));
  const { djstripe_id = null, djstripe_created = null, djstripe_updated = null } = fields;
  const kept = { djstripe_id, djstripe_created, djstripe_updated };
  if (parsed.faults) return faultOf([...parsed.faults, ...checks.kept(kept)]);
  const second = secondOf(String(djstripe_updated));
  const stamp = { progress: 0, second, eventId: '' } as const;
  return sessionItem(parsed.value, kept, Number.isNaN(second) ? undefined : { ...noState, stamp });
}

const noState = { raw: null, status: null, paymentStatus: null };

/** dj-stripe's API has "" in the enums that Stripe left null: their defaults are meant. */
function withoutEmptyEnums(fields: JsonObject): JsonObject {
  const empty = columns.filter(({ name, kind }) => kind === 'enum' && fields[name] === '');
  if (empty.length === 0) return fields;
  const mode = fields.subscription ? 'subscription' : 'payment';
  return { ...fields, ...Object.fromEntries(empty.map(({ name }) => [name, name === 'mode' ? mode : 'auto'])) };
}

/** A row whose values are the contract's, with the number and the times that it keeps. */
export function sessionItem(row: SessionWrite, kept: ReadOnlyFields, stripe?: StripeState): ParsedItem {
  const faults = checks.kept(kept);
  if (faults.length > 0) return faultOf(faults);
  const { djstripe_id, djstripe_created, djstripe_updated } = kept;
  const json = JSON.stringify({
    status: stripe?.status ?? null,
    payment_status: stripe?.paymentStatus ?? null,
    stripe_progress: stripe?.stamp.progress ?? null,
    stripe_second: stripe?.stamp.second ?? null,
    stripe_event_id: stripe?.stamp.eventId ?? null,
    ...row,
    djstripe_id,
    djstripe_created: timestampOrNull(djstripe_created),
    djstripe_updated: timestampOrNull(djstripe_updated),
  });
  return {
    kind: 'session',
    key: row.id,
    djstripeId: (djstripe_id as number | null) ?? undefined,
    json,
    raw: stripe?.raw ?? undefined,
  };
}

function timestampOrNull(value: unknown): string | null {
  return typeof value === 'string' ? (parseTimestamp(value) ?? null) : null;
}

/** Reads a line of a full export, which is restored as it stands. */
function parseExportLine(fields: JsonObject, json: string): ParsedItem {
  const { kind, ...rest } = fields;
  switch (kind) {
    case 'session':
      return parseExportedSession(rest, json);
    case 'tombstone':
      return checked(checks.tombstone(fields), { kind, key: String(rest.id), json });
    case 'event':
      return checked(checks.event(rest), { kind, key: `${rest.session_id}\0${rest.id}`, json });
    case 'progress':
      return checked(checks.progress(rest), { kind, key: String(rest.task), json });
    case 'sequence':
      return checked(checks.sequence(rest), { kind, key: '', djstripeId: rest.djstripe_id as number });
    default:
      return { fault: `has the kind ${JSON.stringify(kind)}, which no export writes` };
  }
}

const kept = new Set([...Object.keys(privateTypes), ...columns.filter((column) => column.readOnly).map((c) => c.name)]);

function parseExportedSession(fields: JsonObject, json: string): ParsedItem {
  const published = Object.fromEntries(Object.entries(fields).filter(([name]) => !kept.has(name)));
  const faults = [...(parseSession(published).faults ?? []), ...checks.session(fields)];
  return checked(faults, {
    kind: 'session',
    key: String(fields.id),
    djstripeId: fields.djstripe_id as number,
    isExact: true,
    json,
  });
}

function checked(faults: readonly Fault[], item: ImportItem): ParsedItem {
  return faults.length > 0 ? faultOf(faults) : item;
}
