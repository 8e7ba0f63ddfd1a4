import { type Cursor, cursorAt } from '../../model/cursor.js';
import type { Condition } from '../../model/filters.js';
import type { ListQuery } from '../../model/list.js';
import type { ColumnKind } from '../../model/session.js';
import { type BatchObserver, sharing } from '../batch.js';
import type { Database } from '../engine/database.js';
import { Prisma } from '../generated/client.js';
import { type Documents, type DocumentsReader, documentsReader, type PageStatement, separator } from './batch.js';
import { conditionSql, hasPartialIndex, identifier, indexPredicate, parameter } from './sql.js';

/** A table that is listed. Its rows have a unique `id`, and are published as JSON text made by PostgreSQL. */
export interface ListTable {
  readonly name: string;
  /** The ordering columns that may be null. */
  readonly nullable: readonly string[];
  /** The condition of the rows that are listed, of the table `s`. */
  readonly where?: string;
  /** What the other rows have in the ordering columns, as SQL: less than every row that is listed. An index skips them as a range. */
  readonly unlisted?: Readonly<Record<string, string>>;
  /** What the ordering columns hold. */
  readonly kinds: Readonly<Record<string, ColumnKind>>;
  /** The SQL of a row's JSON, of the table `s`. */
  readonly document: (include: string | undefined) => string;
}

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
  return sharing(async (query: ListQuery) => {
    const [found, count] = await Promise.all([
      readPage(read, pageStatements(table, query), query),
      countOf(database, table, query),
    ]);
    return stored(query, found, count);
  }, JSON.stringify);
}

function stored(query: ListQuery, { text, isAscii, more }: Page, count: number | null): StoredPage {
  const { cursor, ordering } = query;
  const neighbour = (side: Cursor['side'], document: string): Cursor | undefined => {
    if (document !== '') return cursorAt(JSON.parse(document), ordering, side);
    return cursor && { ...cursor, side };
  };
  const backward = cursor?.side === 'before';
  const hasNext = backward || more;
  const hasPrevious = backward ? more : cursor !== undefined;
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
  readonly more: boolean;
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
    more: count > limit,
  };
}

/** The first of some documents. */
function first({ count, text }: Pick<Documents, 'count' | 'text'>, wanted: number): Pick<Documents, 'count' | 'text'> {
  let end = text.length;
  for (let left = count; left > wanted; left -= 1) end = left === 1 ? 0 : text.lastIndexOf(separator, end - 1);
  return { count: Math.min(count, wanted), text: text.slice(0, end) };
}

async function countOf(database: Database, table: ListTable, { count, conditions }: ListQuery): Promise<number | null> {
  if (!count) return null;
  const matching = Prisma.sql`FROM ${Prisma.raw(table.name)} AS s WHERE ${all([...listed(table), ...conditions.map(conditionSql)])}`;
  if (count === 'exact') {
    const [row] = await database.query<{ count: string }>(Prisma.sql`SELECT count(*)::text AS count ${matching}`);
    return Number(row?.count);
  }
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    Prisma.sql`EXPLAIN (FORMAT JSON) SELECT ${matching}`,
  );
  return row?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? null;
}

function listed({ where }: ListTable): Prisma.Sql[] {
  return where === undefined ? [] : [Prisma.raw(where)];
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.join(conditions, ' AND ');
}

/**
 * The statements of a page, one after the other until it is full: nulls come last whatever the direction, and a
 * condition that speaks of values and nulls at once would read the whole index, so each is a range of its own. Each
 * gives one row more than the page has, which tells that there are more.
 *
 * @param further conditions on the rows that are no filters of the query's.
 */
export function pageStatements(
  table: ListTable,
  query: ListQuery,
  further: readonly Prisma.Sql[] = [],
): PageStatement[] {
  const { conditions, ordering, cursor, include, limit } = query;
  const name = identifier(ordering.column);
  const kind = table.kinds[ordering.column] ?? 'text';
  // A row without a value satisfies no comparison with one.
  const compares = ({ column, lookup }: Condition) => column === ordering.column && lookup !== 'isnull';
  const nullable = table.nullable.includes(ordering.column) && !conditions.some(compares);
  const backward = cursor?.side === 'before';
  const descending = ordering.descending !== backward;
  const direction = Prisma.raw(descending ? 'DESC' : 'ASC');
  const beyond = Prisma.raw(descending ? '<' : '>');
  const filters = [
    ...listed(table),
    ...conditions.flatMap((condition) => [conditionSql(condition), indexPredicate(condition) ?? []].flat()),
    ...further,
  ];

  const unlisted = conditions.some(compares) ? undefined : table.unlisted?.[ordering.column];
  const values = (position: Cursor | undefined): Prisma.Sql[] => [
    ...(unlisted ? [Prisma.sql`${name} > ${Prisma.raw(unlisted)}`] : []),
    ...(nullable && !unlisted ? [Prisma.sql`${name} IS NOT NULL`] : []),
    ...(position
      ? [Prisma.sql`(${name}, id) ${beyond} (${parameter(kind, position.value)}, ${position.id}::text)`]
      : []),
  ];
  const nulls = (position: Cursor | undefined): Prisma.Sql[] => [
    Prisma.sql`${name} IS NULL`,
    ...(position ? [Prisma.sql`id ${beyond} ${position.id}::text`] : []),
  ];
  const document = Prisma.raw(table.document(include));
  const rows = (range: Prisma.Sql[], most: number) => Prisma.sql`SELECT ${document} AS document
      FROM ${Prisma.raw(table.name)} AS s WHERE ${all([...range, ...filters])}
      ORDER BY ${name} ${direction}, id ${direction} LIMIT ${Prisma.raw(String(most))}`;
  const isKept = hasOnePlan(query);
  const statement = (range: Prisma.Sql[]): PageStatement => {
    if (!isKept) {
      const { text, values } = rows(range, limit + 1);
      return { text, values, hasOnePlan: false };
    }
    // Two limits: the planner needs a number, as it takes any limit for a tenth of the table; the value makes one
    // statement serve many limits, and stops it after the rows of its own page.
    const most = plannedRows.find((count) => count > limit) ?? limit + 1;
    const { text, values } = Prisma.sql`SELECT document FROM (${rows(range, most)}) AS most LIMIT ${limit + 1}::bigint`;
    return { text, values, hasOnePlan: true };
  };

  if (!nullable) return [statement(values(cursor))];
  const amongNulls = cursor?.value === null;
  if (backward) {
    return amongNulls ? [statement(nulls(cursor)), statement(values(undefined))] : [statement(values(cursor))];
  }
  return amongNulls ? [statement(nulls(cursor))] : [statement(values(cursor)), statement(nulls(undefined))];
}

/** The rows that a plan which is kept is made for: those of customary limits, and one more. */
const plannedRows = [51, 101, 1001];

/**
 * Whether the same plan is the best one whatever the values, so that it may be made once and kept: along the index of
 * the ordering, from one end or a bound, or along that of a filter that has an index in the default order. Other
 * filters, and ranges with two ends, are planned for the values that they come with.
 */
function hasOnePlan({ conditions, ordering, cursor }: ListQuery): boolean {
  const [condition, ...others] = conditions;
  if (!condition) return true;
  if (others.length > 0) return false;
  if (condition.column === ordering.column) return !cursor && ['gt', 'gte', 'lt', 'lte'].includes(condition.lookup);
  return ordering.column === 'created' && hasPartialIndex(condition);
}
