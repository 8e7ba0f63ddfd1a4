import { type Cursor, cursorAt } from '../../model/cursor.js';
import type { ListQuery } from '../../model/list.js';
import type { BatchObserver } from '../batch.js';
import type { Database } from '../engine/database.js';
import { Prisma } from '../generated/client.js';
import { type Documents, type DocumentsReader, documentsReader, separator } from './batch.js';
import { countedRows, type ListTable, type PageStatement, pageStatements } from './plan.js';
import { sharePerTurn } from './share-per-turn.js';

/** A page of a list, with the cursors of the neighbouring pages. */
export interface StoredPage {
  /** The documents in order, as the elements of a JSON array. */
  readonly results: string;
  /** Whether the results are ASCII. Such a text can be sent without encoding it to UTF-8. */
  readonly isAscii: boolean;
  readonly next: Cursor | undefined;
  readonly previous: Cursor | undefined;
  readonly count: number | null;
}

/** Returns a reader of a table's pages. Equal queries of one turn of the event loop share one page, which is read afterwards. */
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
    return withCursors(query, found, count);
  }, JSON.stringify);
}

/** Adds the cursors of the neighbouring pages to a page. */
function withCursors(query: ListQuery, { text, isAscii, hasMore }: Page, count: number | null): StoredPage {
  const { cursor, ordering } = query;
  const cursorBeside = (side: Cursor['side'], document: string): Cursor | undefined => {
    if (document !== '') return cursorAt(JSON.parse(document), ordering, side);
    // The page is empty: its neighbours begin at its own cursor.
    return cursor && { ...cursor, side };
  };
  const backward = cursor?.side === 'before';
  const hasNext = backward || hasMore;
  const hasPrevious = backward ? hasMore : cursor !== undefined;
  return {
    results: text,
    isAscii,
    next: hasNext ? cursorBeside('after', lastDocument(text)) : undefined,
    previous: hasPrevious ? cursorBeside('before', firstDocument(text)) : undefined,
    count,
  };
}

function firstDocument(documents: string): string {
  const end = documents.indexOf(separator);
  return end === -1 ? documents : documents.slice(0, end);
}

function lastDocument(documents: string): string {
  const end = documents.lastIndexOf(separator);
  return end === -1 ? documents : documents.slice(end + separator.length);
}

interface Page {
  /** The documents in the order of the list. */
  readonly text: string;
  readonly isAscii: boolean;
  /** Whether more documents follow in the direction of travel. */
  readonly hasMore: boolean;
}

/** Reads the documents of a page. Runs its statements one after the other until the page is full. */
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
    const wanted = firstDocuments(found, limit + 1 - count);
    text = count > 0 && wanted.count > 0 ? text + separator + wanted.text : text + wanted.text;
    count += wanted.count;
    // A character outside ASCII has more bytes in UTF-8 than code units in a JavaScript string.
    isAscii &&= found.bytes === found.text.length;
  }
  const documents = firstDocuments({ count, text }, limit).text;
  const isReversed = cursor?.side === 'before';
  return {
    text: isReversed ? documents.split(separator).reverse().join(separator) : documents,
    isAscii,
    hasMore: count > limit,
  };
}

type CountedText = Pick<Documents, 'count' | 'text'>;

/** Returns at most `wanted` documents from the start of a text. */
function firstDocuments({ count, text }: CountedText, wanted: number): CountedText {
  let end = text.length;
  for (let left = count; left > wanted; left -= 1) end = left === 1 ? 0 : text.lastIndexOf(separator, end - 1);
  return { count: Math.min(count, wanted), text: text.slice(0, end) };
}

/** Returns the number of rows that a query counts: null without `count`, and the planner's estimate for `estimated`. */
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
