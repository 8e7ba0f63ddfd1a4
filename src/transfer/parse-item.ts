import { Type } from 'typebox';
import { columns, isSessionId, type ReadOnlyColumn, type SessionWrite } from '../model/session.js';
import { parseSession } from '../model/session-request.js';
import type { SessionState } from '../model/stripe.js';
import { parseTimestamp } from '../model/timestamp.js';
import { validator } from '../model/validator.js';
import { parseEvent } from '../stripe/event-body.js';
import { parseExportLine } from './export-line.js';
import { djstripeIdSchema, faultOf, type JsonObject, orNull, type ParsedItem, timeSchema } from './import-item.js';

/** Parses the JSON values of an import. Pure. */

/**
 * Parses a JSON value: a Stripe session, a Stripe event, a session in the contract's form, or a line of a full export.
 *
 * @param json the text of the value, when there is one. A line of a full export is stored from it unchanged.
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
    if ('fault' in parsed) return { fault: `is not a valid event: ${parsed.fault}` };
    const { event: body } = parsed;
    const session = (body.data?.object as JsonObject | undefined)?.id;
    return { kind: 'delivery', key: typeof session === 'string' ? session : body.id, body };
  }
  if (object !== 'checkout.session') {
    return { fault: `is a Stripe object of the type ${JSON.stringify(object)}, not a checkout.session or an event` };
  }
  return isSessionId(id) ? { kind: 'object', key: id, object: fields } : { fault: 'has no valid session id' };
}

/** The columns that an import keeps and a request must not set. */
export type ReadOnlyFields = Readonly<Partial<Record<ReadOnlyColumn, unknown>>>;

/** Stripe's state of an imported session: its stamp, and the raw object when there is one. */
export type StripeState = Pick<SessionState, 'status' | 'paymentStatus' | 'stamp'> & { readonly raw: string | null };

/**
 * Parses a session in the contract's form by the rules of a PUT, except that dj-stripe's empty enums are accepted. The
 * stamp is its djstripe_updated, so that an older Stripe state does not overwrite it.
 */
function parseContractRow(fields: JsonObject): ParsedItem {
  const parsed = parseSession(withoutEmptyEnums(fields));
  const { djstripe_id = null, djstripe_created = null, djstripe_updated = null } = fields;
  const readOnly = { djstripe_id, djstripe_created, djstripe_updated };
  if (parsed.faults) return faultOf([...parsed.faults, ...readOnlyFaults(readOnly)]);
  const second = Math.floor(Date.parse(String(djstripe_updated)) / 1000);
  const stamp = { progress: 0, second, eventId: '' } as const;
  return sessionItem(parsed.value, readOnly, Number.isNaN(second) ? undefined : { ...noState, stamp });
}

const noState = { raw: null, status: null, paymentStatus: null };

/** Replaces the enums that dj-stripe's API returns as "", where Stripe has null, by their defaults. */
function withoutEmptyEnums(fields: JsonObject): JsonObject {
  const empty = columns.filter(({ name, kind }) => kind === 'enum' && fields[name] === '');
  if (empty.length === 0) return fields;
  const mode = fields.subscription ? 'subscription' : 'payment';
  return { ...fields, ...Object.fromEntries(empty.map(({ name }) => [name, name === 'mode' ? mode : 'auto'])) };
}

const readOnlyFaults = validator(
  Type.Object({
    djstripe_id: Type.Optional(orNull(djstripeIdSchema)),
    djstripe_created: Type.Optional(orNull(timeSchema)),
    djstripe_updated: Type.Optional(orNull(timeSchema)),
  }),
  'body',
);

/** Returns the import item of a valid session, with its djstripe_id and times, or the faults of these. */
export function sessionItem(session: SessionWrite, readOnly: ReadOnlyFields, stripe?: StripeState): ParsedItem {
  const faults = readOnlyFaults(readOnly);
  if (faults.length > 0) return faultOf(faults);
  const { djstripe_id, djstripe_created, djstripe_updated } = readOnly;
  const json = JSON.stringify({
    status: stripe?.status ?? null,
    payment_status: stripe?.paymentStatus ?? null,
    stripe_progress: stripe?.stamp.progress ?? null,
    stripe_second: stripe?.stamp.second ?? null,
    stripe_event_id: stripe?.stamp.eventId ?? null,
    ...session,
    djstripe_id,
    djstripe_created: timestampOrNull(djstripe_created),
    djstripe_updated: timestampOrNull(djstripe_updated),
  });
  return {
    kind: 'session',
    key: session.id,
    djstripeId: (djstripe_id as number | null) ?? undefined,
    json,
    raw: stripe?.raw ?? undefined,
  };
}

function timestampOrNull(value: unknown): string | null {
  return typeof value === 'string' ? (parseTimestamp(value) ?? null) : null;
}
