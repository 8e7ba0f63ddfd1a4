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
 * Parses the bodies of POST, PUT and PATCH. The input follows the lenient rules of requests; the output has one strict
 * shape. The published schemas validate the input.
 */

/** The result of parsing a part of a request: the value, or every fault in it. */
export type Parsed<Value> = { value: Value; faults?: undefined } | { faults: Fault[] };

/** A change of one column by a merge patch. `merge` merges the object into the stored one; otherwise the value replaces it. */
export interface ColumnPatch {
  readonly column: Column;
  readonly value: unknown;
  readonly merge: boolean;
}

const validateSession = validator(SessionRequest, 'body', 'a session');
const validatePatch = validator(SessionPatch, 'body', 'a session');

/** Converts an array to an object: `["card"]` → `{"0": "card"}`. The object keeps the order and iterates like the array. */
function keyByPosition(value: unknown): unknown {
  return Array.isArray(value) ? { ...value } : value;
}

const arrayColumns = ['payment_method_types', 'display_items'];

/** Drops the read-only properties and converts arrays to objects. Returns undefined if the body is not an object. */
function normalizeBody(body: unknown): Record<string, unknown> | undefined {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return undefined;
  // Copy instead of `delete`: V8 turns an object that loses properties into a slow dictionary.
  const { djstripe_id, djstripe_created, djstripe_updated, ...fields } = body as Record<string, unknown>;
  for (const name of arrayColumns) if (Object.hasOwn(fields, name)) fields[name] = keyByPosition(fields[name]);
  return fields;
}

const notAnObject: Fault[] = [{ in: 'body', pointer: '', detail: 'must be a JSON object' }];

/** Returns the unstorable values of a body, else its violations of the schema, and an `id` that differs from the path's. */
function checkFields(
  fields: Record<string, unknown>,
  validate: (value: unknown) => Fault[],
  pathId: string | undefined,
): Fault[] {
  const unstorable = storageFaults(fields);
  // Skip schema validation of unstorable text: its messages could quote the text.
  const faults = unstorable.length > 0 ? unstorable : validate(fields);
  if (pathId !== undefined && Object.hasOwn(fields, 'id') && fields.id !== pathId) {
    faults.push({ in: 'body', pointer: '/id', detail: 'must equal the id in the path' });
  }
  return faults;
}

/** Returns the value to store: a timestamp in UTC, and the column's empty value for an absent or null one. */
function storedValue(column: Column, value: unknown): unknown {
  if (value === undefined || value === null) return emptyValue(column);
  return column.kind === 'timestamp' ? parseTimestamp(value as string) : value;
}

/**
 * Parses the body of a POST or PUT into a session to store, or into the faults of the body.
 *
 * @param pathId the id in the path of a PUT. The body may omit `id`, but a different `id` is a fault.
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

/** Parses the body of a PATCH, an RFC 7396 merge patch, into the columns that it changes, or into the faults of the body. */
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
