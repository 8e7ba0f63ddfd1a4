import { textFault } from './json.js';
import type { ColumnKind } from './session.js';
import { parseTimestamp } from './timestamp.js';

/** Keyset cursors of ordered lists. They are opaque to clients. */

export interface Ordering {
  readonly column: string;
  readonly descending: boolean;
}

/** A position in an ordered list: the ordering value and the id of a row, and the side of that row on which the page is. */
export interface Cursor {
  readonly ordering: string;
  readonly side: 'after' | 'before';
  readonly value: string | number | null;
  readonly id: string;
}

/** A column that can order a list. */
export interface OrderingColumn {
  readonly kind: ColumnKind;
  readonly nullable: boolean;
}

/** Parses an ordering: the name of a column, with `-` before it for descending. Returns undefined for any other text. */
export function parseOrdering(text: string, orderings: readonly string[]): Ordering | undefined {
  const column = text.replace(/^-/, '');
  return orderings.includes(column) ? { column, descending: text !== column } : undefined;
}

function orderingName({ column, descending }: Ordering): string {
  return descending ? `-${column}` : column;
}

/** Returns the cursor for the page on one side of a row. */
export function cursorAt(row: Readonly<Record<string, unknown>>, ordering: Ordering, side: Cursor['side']): Cursor {
  const value = (row[ordering.column] ?? null) as Cursor['value'];
  return { ordering: orderingName(ordering), side, value, id: row.id as string };
}

/** Encodes a cursor for a URL. */
export function encodeCursor({ ordering, side, value, id }: Cursor): string {
  return Buffer.from(JSON.stringify([ordering, side, value, id])).toString('base64url');
}

/**
 * Decodes a cursor from a URL.
 *
 * @param orderings the columns that can order the list.
 * @returns undefined if {@link encodeCursor} cannot have written the text for this list.
 */
export function decodeCursor(text: string, orderings: ReadonlyMap<string, OrderingColumn>): Cursor | undefined {
  const parts = decodeJson(text);
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [ordering, side, rawValue, id] = parts;
  const parsed = typeof ordering === 'string' ? parseOrdering(ordering, [...orderings.keys()]) : undefined;
  if (!parsed || (side !== 'after' && side !== 'before')) return undefined;
  const value = orderingValue(orderings.get(parsed.column), rawValue);
  if (typeof id !== 'string' || textFault(id) !== undefined || value === undefined) return undefined;
  return { ordering, side, value, id };
}

function decodeJson(text: string): unknown {
  const json = Buffer.from(text, 'base64url');
  // Node ignores characters that are not base64url, so compare.
  if (json.toString('base64url') !== text) return undefined;
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}

/** Returns the ordering value if its type fits the column, else undefined. */
function orderingValue(column: OrderingColumn | undefined, value: unknown): Cursor['value'] | undefined {
  const kind = column?.kind;
  if (value === null) return column?.nullable ? null : undefined;
  if (kind === 'integer') return Number.isSafeInteger(value) ? (value as number) : undefined;
  if (typeof value !== 'string') return undefined;
  if (kind === 'timestamp') return parseTimestamp(value);
  return textFault(value) === undefined ? value : undefined;
}
