import { type Cursor, cursorAt } from '../model/cursor.js';
import type { ListQuery } from '../model/list.js';
import type { ColumnKind } from '../model/session.js';
import { conditionSql, identifier, indexPredicate, parameter } from './conditions.js';
import type { Database } from './database.js';
import { Prisma } from './generated/client.js';

/** A table that is listed. Its rows have a unique `id`, and are published as JSON text made by PostgreSQL. */
export interface ListTable {
  readonly name: string;
  /** The ordering columns that may be null. */
  readonly nullable: readonly string[];
  /** What the ordering columns hold. */
  readonly kinds: Readonly<Record<string, ColumnKind>>;
  /** The SQL of a row's JSON, of the table `s`. */
  readonly document: (include: string | undefined) => string;
}

/** A page of a list: the documents in order, and where the neighbouring pages begin. */
export interface StoredPage {
  readonly documents: readonly string[];
  readonly next: Cursor | undefined;
  readonly previous: Cursor | undefined;
  readonly count: number | null;
}

/** The page of a table that a query asks for. */
export async function listPage(database: Database, table: ListTable, query: ListQuery): Promise<StoredPage> {
  const [{ documents, more }, count] = await Promise.all([
    page(database, table, query),
    countOf(database, table, query),
  ]);
  const { cursor, ordering } = query;
  const neighbour = (side: Cursor['side'], document: string | undefined): Cursor | undefined => {
    if (document !== undefined) return cursorAt(JSON.parse(document), ordering, side);
    return cursor && { ...cursor, side };
  };
  const backward = cursor?.side === 'before';
  const hasNext = backward || more;
  const hasPrevious = backward ? more : cursor !== undefined;
  return {
    documents,
    next: hasNext ? neighbour('after', documents.at(-1)) : undefined,
    previous: hasPrevious ? neighbour('before', documents[0]) : undefined,
    count,
  };
}

/** The documents of a page, and whether there are more beyond it in the direction of travel. */
async function page(database: Database, table: ListTable, query: ListQuery) {
  const documents: string[] = [];
  for (const statement of pageStatements(table, query)) {
    const missing = query.limit + 1 - documents.length;
    if (missing === 0) break;
    const rows = await database.query<{ document: string }>(statement(missing));
    documents.push(...rows.map((row) => row.document));
  }
  const more = documents.length > query.limit;
  if (more) documents.pop();
  if (query.cursor?.side === 'before') documents.reverse();
  return { documents, more };
}

async function countOf(database: Database, table: ListTable, { count, conditions }: ListQuery): Promise<number | null> {
  if (!count) return null;
  const matching = Prisma.sql`FROM ${Prisma.raw(table.name)} AS s WHERE ${all(conditions.map(conditionSql))}`;
  if (count === 'exact') {
    const [row] = await database.query<{ count: string }>(Prisma.sql`SELECT count(*)::text AS count ${matching}`);
    return Number(row?.count);
  }
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    Prisma.sql`EXPLAIN (FORMAT JSON) SELECT ${matching}`,
  );
  return row?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? null;
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.join(conditions, ' AND ');
}

/**
 * The statements of a page, one after the other until it is full: nulls come last whatever the direction, and a
 * condition that speaks of values and nulls at once would read the whole index, so each is a range of its own.
 */
export function pageStatements(
  table: ListTable,
  { conditions, ordering, cursor, include }: ListQuery,
): ((limit: number) => Prisma.Sql)[] {
  const name = identifier(ordering.column);
  const kind = table.kinds[ordering.column] ?? 'text';
  const nullable = table.nullable.includes(ordering.column);
  const backward = cursor?.side === 'before';
  const descending = ordering.descending !== backward;
  const direction = Prisma.raw(descending ? 'DESC' : 'ASC');
  const beyond = Prisma.raw(descending ? '<' : '>');
  const filters = conditions.flatMap((condition) => [conditionSql(condition), indexPredicate(condition) ?? []].flat());

  const values = (position: Cursor | undefined): Prisma.Sql[] => [
    ...(nullable ? [Prisma.sql`${name} IS NOT NULL`] : []),
    ...(position
      ? [Prisma.sql`(${name}, id) ${beyond} (${parameter(kind, position.value)}, ${position.id}::text)`]
      : []),
  ];
  const nulls = (position: Cursor | undefined): Prisma.Sql[] => [
    Prisma.sql`${name} IS NULL`,
    ...(position ? [Prisma.sql`id ${beyond} ${position.id}::text`] : []),
  ];
  const document = Prisma.raw(table.document(include));
  const statement = (range: Prisma.Sql[]) => (limit: number) =>
    Prisma.sql`SELECT ${document} AS document FROM ${Prisma.raw(table.name)} AS s WHERE ${all([...range, ...filters])}
      ORDER BY ${name} ${direction}, id ${direction} LIMIT ${limit}::bigint`;

  if (!nullable) return [statement(values(cursor))];
  const amongNulls = cursor?.value === null;
  if (backward) {
    return amongNulls ? [statement(nulls(cursor)), statement(values(undefined))] : [statement(values(cursor))];
  }
  return amongNulls ? [statement(nulls(cursor))] : [statement(values(cursor)), statement(nulls(undefined))];
}
