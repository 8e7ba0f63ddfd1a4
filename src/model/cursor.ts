import { textFault } from './json.js';
import type { ColumnKind } from './session.js';
import { parseTimestamp } from './timestamp.js';

/** Where the pages of an ordered list begin: keyset cursors, opaque to clients. */

export interface Ordering {
  readonly column: string;
  readonly descending: boolean;
}

/** A place in an ordered list: the ordering value and id of a row, and which side of it the page lies on. */
export interface Cursor {
  readonly ordering: string;
  readonly side: 'after' | 'before';
  readonly value: string | number | null;
  readonly id: string;
}

/** What a column that orders a list holds. */
export interface OrderingColumn {
  readonly kind: ColumnKind;
  readonly nullable: boolean;
}

/** Reads the name of an ordering: one of the columns, `-` before it for descending. */
export function parseOrdering(text: string, orderings: readonly string[]): Ordering | undefined {
  const column = text.replace(/^-/, '');
  return orderings.includes(column) ? { column, descending: text !== column } : undefined;
}

function orderingName({ column, descending }: Ordering): string {
  return descending ? `-${column}` : column;
}

/** The cursor for the page on one side of a row. */
export function cursorAt(row: Readonly<Record<string, unknown>>, ordering: Ordering, side: Cursor['side']): Cursor {
  const value = (row[ordering.column] ?? null) as Cursor['value'];
  return { ordering: orderingName(ordering), side, value, id: row.id as string };
}

/** As it stands in a URL. */
export function encodeCursor({ ordering, side, value, id }: Cursor): string {
  return Buffer.from(JSON.stringify([ordering, side, value, id])).toString('base64url');
}

/**
 * Reads a cursor of a URL.
 *
 * @param orderings the columns that the list can be ordered by.
 * @returns undefined when it is none that {@link encodeCursor} gave for such a list.
 */
export function decodeCursor(text: string, orderings: ReadonlyMap<string, OrderingColumn>): Cursor | undefined {
  const parts = decodeJson(text);
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [ordering, side, given, id] = parts;
  const by = typeof ordering === 'string' ? parseOrdering(ordering, [...orderings.keys()]) : undefined;
  if (!by || (side !== 'after' && side !== 'before')) return undefined;
  const value = orderingValue(orderings.get(by.column), given);
  if (typeof id !== 'string' || textFault(id) !== undefined || value === undefined) return undefined;
  return { ordering, side, value, id };
}

function decodeJson(text: string): unknown {
  const json = Buffer.from(text, 'base64url');
  // Node passes over what is not base64url.
  if (json.toString('base64url') !== text) return undefined;
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}

function orderingValue(column: OrderingColumn | undefined, value: unknown): Cursor['value'] | undefined {
  const kind = column?.kind;
  if (value === null) return column?.nullable ? null : undefined;
  if (kind === 'integer') return Number.isSafeInteger(value) ? (value as number) : undefined;
  if (typeof value !== 'string') return undefined;
  if (kind === 'timestamp') return parseTimestamp(value);
  return textFault(value) === undefined ? value : undefined;
}
