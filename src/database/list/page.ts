import { type Cursor, cursorAt } from '../../model/cursor.js';
import type { ListQuery } from '../../model/list.js';
import type { BatchObserver } from '../batch.js';
import type { Database } from '../engine/database.js';
import { Prisma } from '../generated/client.js';
import { type Documents, type DocumentsReader, documentsReader, separator } from './batch.js';
import { countedRows, type ListTable, type PageStatement, pageStatements } from './plan.js';
import { sharePerTurn } from './share-per-turn.js';

/** A page of a list, and where the neighbouring pages begin. */
export interface StoredPage {
  /** The rows in order, as they stand in a JSON array. */
  readonly results: string;
  /** Whether the results are ASCII, and so need no encoding. */
  readonly isAscii: boolean;
  readonly next: Cursor | undefined;
  readonly previous: Cursor | undefined;
  readonly count: number | null;
}

/** Reads pages of a table. Identical queries of one turn of the event loop share a page that is read after them. */
export function listReader(
  database: Database,
  table: ListTable,
  onBatch?: BatchObserver,
): (query: ListQuery) => Promise<StoredPage> {
  const read = documentsReader(database, onBatch);
  return sharePerTurn(async (query: ListQuery) => {
    const [found, count] = await Promise.all([
      readPage(read, pageStatements(table, query), query),
      countOf(database, table, query),
    ]);
    return stored(query, found, count);
  }, JSON.stringify);
}

function stored(query: ListQuery, { text, isAscii, hasMore }: Page, count: number | null): StoredPage {
  const { cursor, ordering } = query;
  const neighbour = (side: Cursor['side'], document: string): Cursor | undefined => {
    if (document !== '') return cursorAt(JSON.parse(document), ordering, side);
    return cursor && { ...cursor, side };
  };
  const backward = cursor?.side === 'before';
  const hasNext = backward || hasMore;
  const hasPrevious = backward ? hasMore : cursor !== undefined;
  return {
    results: text,
    isAscii,
    next: hasNext ? neighbour('after', lastOf(text)) : undefined,
    previous: hasPrevious ? neighbour('before', firstOf(text)) : undefined,
    count,
  };
}

function firstOf(documents: string): string {
  const end = documents.indexOf(separator);
  return end === -1 ? documents : documents.slice(0, end);
}

function lastOf(documents: string): string {
  const end = documents.lastIndexOf(separator);
  return end === -1 ? documents : documents.slice(end + separator.length);
}

/** The documents of a page, and whether there are more beyond it in the direction of travel. */
interface Page {
  readonly text: string;
  readonly isAscii: boolean;
  readonly hasMore: boolean;
}

/** Reads the documents of a page with its statements, one after the other until the page is full. */
export async function readPage(
  read: DocumentsReader,
  statements: readonly PageStatement[],
  query: ListQuery,
): Promise<Page> {
  const { limit, cursor } = query;
  let count = 0;
  let text = '';
  let isAscii = true;
  for (const statement of statements) {
    if (count > limit) break;
    const found = await read(statement);
    const wanted = first(found, limit + 1 - count);
    text = count > 0 && wanted.count > 0 ? text + separator + wanted.text : text + wanted.text;
    count += wanted.count;
    // Any other character is more bytes in UTF-8 than it is units of a JavaScript string.
    isAscii &&= found.bytes === found.text.length;
  }
  const documents = first({ count, text }, limit).text;
  const isReversed = cursor?.side === 'before';
  return {
    text: isReversed ? documents.split(separator).reverse().join(separator) : documents,
    isAscii,
    hasMore: count > limit,
  };
}

/** The first of some documents. */
function first({ count, text }: Pick<Documents, 'count' | 'text'>, wanted: number): Pick<Documents, 'count' | 'text'> {
  let end = text.length;
  for (let left = count; left > wanted; left -= 1) end = left === 1 ? 0 : text.lastIndexOf(separator, end - 1);
  return { count: Math.min(count, wanted), text: text.slice(0, end) };
}

async function countOf(database: Database, table: ListTable, query: ListQuery): Promise<number | null> {
  if (!query.count) return null;
  const counted = countedRows(table, query);
  if (query.count === 'exact') {
    const [row] = await database.query<{ count: string }>(Prisma.sql`SELECT count(*)::text AS count ${counted}`);
    return Number(row?.count);
  }
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    Prisma.sql`EXPLAIN (FORMAT JSON) SELECT ${counted}`,
  );
  return row?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? null;
}
