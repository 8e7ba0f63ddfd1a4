import type { Fault } from '../errors.js';
import { storageFaults } from './json.js';
import {
  type Column,
  emptyValue,
  SessionPatch,
  SessionRequest,
  type SessionWrite,
  writableColumns,
} from './session.js';
import { parseTimestamp } from './timestamp.js';
import { validator } from './validator.js';

/**
 * Reads the bodies of writes: the lenient rules of requests on the way in, one strict shape on the way out.
 * Validation is the published schemas' own.
 */

/** What came of reading a body: the value to store, or every place that is wrong with it. */
export type Parsed<Value> = { value: Value; faults?: undefined } | { faults: Fault[] };

/** One column of a merge patch: `merge` its object into what is stored, or else put the value in its place. */
export interface ColumnPatch {
  readonly column: Column;
  readonly value: unknown;
  readonly merge: boolean;
}

const validateSession = validator(SessionRequest, 'body', 'a session');
const validatePatch = validator(SessionPatch, 'body', 'a session');

/** `["card"]` → `{"0": "card"}`: loses nothing, keeps the order, iterates the same. */
function keyByPosition(value: unknown): unknown {
  return Array.isArray(value) ? { ...value } : value;
}

const arrayColumns = ['payment_method_types', 'display_items'];

/** The body with the lenient rules applied: read-only properties dropped, arrays keyed by position. */
function normalizeBody(body: unknown): Record<string, unknown> | undefined {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return undefined;
  // Not by `delete`: an object that lost properties is a slow one for all that comes after.
  const { djstripe_id, djstripe_created, djstripe_updated, ...fields } = body as Record<string, unknown>;
  for (const name of arrayColumns) if (Object.hasOwn(fields, name)) fields[name] = keyByPosition(fields[name]);
  return fields;
}

const notAnObject: Fault[] = [{ in: 'body', pointer: '', detail: 'must be a JSON object' }];

function checkFields(
  fields: Record<string, unknown>,
  validate: (value: unknown) => Fault[],
  pathId: string | undefined,
): Fault[] {
  const unstorable = storageFaults(fields);
  // What is no text cannot be spoken of either.
  const faults = unstorable.length > 0 ? unstorable : validate(fields);
  if (pathId !== undefined && Object.hasOwn(fields, 'id') && fields.id !== pathId) {
    faults.push({ in: 'body', pointer: '/id', detail: 'must equal the id in the path' });
  }
  return faults;
}

/** The value that a column stores: timestamps in UTC, the empty value for what is absent or null. */
function storedValue(column: Column, value: unknown): unknown {
  if (value === undefined || value === null) return emptyValue(column);
  return column.kind === 'timestamp' ? parseTimestamp(value as string) : value;
}

/**
 * Reads the body of a POST or PUT.
 *
 * @param pathId the id in the path of a PUT, which the body may leave out but not contradict.
 */
export function parseSession(body: unknown, pathId?: string): Parsed<SessionWrite> {
  const fields = normalizeBody(body);
  if (!fields) return { faults: notAnObject };
  if (pathId !== undefined && !Object.hasOwn(fields, 'id')) fields.id = pathId;
  const faults = checkFields(fields, validateSession, pathId);
  if (faults.length > 0) return { faults };
  const write: Record<string, unknown> = {};
  for (const column of writableColumns) write[column.name] = storedValue(column, fields[column.name]);
  return { value: write as SessionWrite };
}

/** Reads the body of a PATCH: an RFC 7396 merge patch, as the columns it changes. */
export function parsePatch(body: unknown, pathId: string): Parsed<ColumnPatch[]> {
  const fields = normalizeBody(body);
  if (!fields) return { faults: notAnObject };
  const faults = checkFields(fields, validatePatch, pathId);
  if (faults.length > 0) return { faults };
  const changed = writableColumns.filter(({ name }) => name !== 'id' && Object.hasOwn(fields, name));
  return {
    value: changed.map((column) => ({
      column,
      value: storedValue(column, fields[column.name]),
      merge:
        column.kind === 'map' && fields[column.name] !== null && !Array.isArray((body as typeof fields)[column.name]),
    })),
  };
}
