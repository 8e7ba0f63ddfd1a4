import { type TSchema, Type } from 'typebox';
import { privateTypes } from '../database/columns.js';
import type { Fault } from '../errors.js';
import { columns, SessionId } from '../model/session.js';
import { parseSession } from '../model/session-request.js';
import { validator } from '../model/validator.js';
import {
  djstripeIdSchema,
  faultOf,
  type ImportItem,
  type JsonObject,
  maxDjstripeId,
  orNull,
  type ParsedItem,
  timeSchema,
} from './import-item.js';

/** Parses the lines of a full export, which an import restores exactly. Pure. */

const text = Type.String();

const sessionFaults = validator(
  Type.Object({
    djstripe_id: djstripeIdSchema,
    djstripe_created: timeSchema,
    djstripe_updated: timeSchema,
    version: Type.Integer({ minimum: 1, maximum: maxDjstripeId - 1 }),
    stripe_data: orNull(Type.Object({})),
    status: orNull(text),
    payment_status: orNull(text),
    stripe_progress: orNull(Type.Integer({ minimum: 0, maximum: 2 })),
    stripe_second: orNull(Type.Integer()),
    stripe_event_id: orNull(text),
    stripe_api_version: orNull(text),
    // Exports of earlier versions lack it.
    stripe_gaps: Type.Optional(orNull(Type.Object({}))),
  } satisfies Record<keyof typeof privateTypes, TSchema> & Record<string, TSchema>),
  'body',
);
const tombstoneFaults = validator(Type.Object({ kind: text, id: SessionId, deleted_at: timeSchema }), 'body');
const eventFaults = validator(
  Type.Object({
    session_id: SessionId,
    ...{ id: text, type: text, account: orNull(text), livemode: orNull(Type.Boolean()), api_version: orNull(text) },
    ...{ created: timeSchema, received_at: timeSchema, outcome: text },
  }),
  'body',
);
const progressFaults = validator(
  Type.Object({ task: text, state: Type.Unsafe<unknown>({}), updated_at: timeSchema }),
  'body',
);
const sequenceFaults = validator(Type.Object({ djstripe_id: djstripeIdSchema }), 'body');

/**
 * Parses a line of a full export.
 *
 * @param json the text of the line. It is stored unchanged, so that no number loses a digit.
 */
export function parseExportLine(fields: JsonObject, json: string): ParsedItem {
  const { kind, ...rest } = fields;
  switch (kind) {
    case 'session':
      return parseExportedSession(rest, json);
    case 'tombstone':
      return checked(tombstoneFaults(fields), { kind, key: String(rest.id), json });
    case 'event':
      return checked(eventFaults(rest), { kind, key: `${rest.session_id}\0${rest.id}`, json });
    case 'progress':
      return checked(progressFaults(rest), { kind, key: String(rest.task), json });
    case 'sequence':
      return checked(sequenceFaults(rest), { kind, key: '', djstripeId: rest.djstripe_id as number });
    default:
      return { fault: `has the kind ${JSON.stringify(kind)}, which no export writes` };
  }
}

/** Columns of an exported session that a request must not contain. */
const notInRequest = new Set([
  ...Object.keys(privateTypes),
  ...columns.filter(({ readOnly }) => readOnly).map(({ name }) => name),
]);

function parseExportedSession(fields: JsonObject, json: string): ParsedItem {
  const request = Object.fromEntries(Object.entries(fields).filter(([name]) => !notInRequest.has(name)));
  const faults = [...(parseSession(request).faults ?? []), ...sessionFaults(fields)];
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
