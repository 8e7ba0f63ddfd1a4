import type { Cursor } from '../../model/cursor.js';
import type { Condition } from '../../model/filters.js';
import type { ListQuery } from '../../model/list.js';
import type { ColumnKind } from '../../model/session.js';
import { Prisma } from '../generated/client.js';
import { conditionSql, hasPartialIndex, identifier, indexPredicate, typedParameter } from './sql.js';

/** Builds the statements of a list's page. */

/** A table with a list. Its rows have a unique `id`. In SQL its alias is `s`. */
export interface ListTable {
  readonly name: string;
  /** The ordering columns that may be null. */
  readonly nullable: readonly string[];
  /** The SQL condition of the listed rows. */
  readonly where?: string;
  /**
   * The SQL values of the hidden rows in the ordering columns. They are lower than the value of any listed row, so an index
   * scan skips the hidden rows as one range.
   */
  readonly hiddenValues?: Readonly<Record<string, string>>;
  /** The kinds of the ordering columns. */
  readonly kinds: Readonly<Record<string, ColumnKind>>;
  /** Returns the SQL of a row's JSON. */
  readonly document: (include: string | undefined) => string;
}

/** A statement whose rows are documents. PostgreSQL writes their JSON without line breaks. */
export interface PageStatement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Whether the best plan is the same for all values. The statement can then be prepared and its plan kept. */
  readonly hasOnePlan: boolean;
}

/** Returns the FROM and WHERE clauses of the rows that a query counts. */
export function countedRows(table: ListTable, { conditions }: ListQuery): Prisma.Sql {
  return Prisma.sql`FROM ${Prisma.raw(table.name)} AS s WHERE ${allOf([...tableConditions(table), ...conditions.map(conditionSql)])}`;
}

/**
 * Returns the statements of a page, to be run one after the other until the page is full.
 *
 * A page continues after the last row of the page before: `(created, id) < ($1, $2)`. Nulls come last, ascending or descending,
 * and a row comparison is never true for them. With `OR created IS NULL` PostgreSQL reads the whole index. So rows with a value
 * and rows without one are two ranges, each with a statement of its own.
 *
 * Each statement reads one row more than the page holds. The extra row shows that another page follows.
 *
 * @param extraConditions conditions beside the filters of the query.
 */
export function pageStatements(
  table: ListTable,
  query: ListQuery,
  extraConditions: readonly Prisma.Sql[] = [],
): PageStatement[] {
  const { ordering, cursor } = query;
  const name = identifier(ordering.column);
  const kind = table.kinds[ordering.column] ?? 'text';
  // A filter that compares the ordering column excludes its nulls.
  const isCompared = query.conditions.some(({ column, lookup }) => column === ordering.column && lookup !== 'isnull');
  const isNullable = table.nullable.includes(ordering.column) && !isCompared;
  const readsBackward = cursor?.side === 'before';
  const scansDescending = ordering.descending !== readsBackward;
  const beyond = Prisma.raw(scansDescending ? '<' : '>');
  // Also beside a filter on the column: an ascending list up to a bound would begin with all tombstones.
  const hiddenValue = table.hiddenValues?.[ordering.column];
  const valueRange = hiddenValue
    ? [Prisma.sql`${name} > ${Prisma.raw(hiddenValue)}`]
    : isNullable
      ? [Prisma.sql`${name} IS NOT NULL`]
      : [];

  const statement = (range: readonly Prisma.Sql[]) =>
    statementOf(table, query, scansDescending, [...range, ...extraConditions]);
  const rowsWithValue = (after: Cursor | undefined) => {
    if (!after) return statement(valueRange);
    const position = Prisma.sql`(${typedParameter(kind, after.value)}, ${after.id}::text)`;
    return statement([...valueRange, Prisma.sql`(${name}, id) ${beyond} ${position}`]);
  };
  const rowsWithNull = (after: Cursor | undefined) =>
    statement([Prisma.sql`${name} IS NULL`, ...(after ? [Prisma.sql`id ${beyond} ${after.id}::text`] : [])]);

  if (!isNullable) return [rowsWithValue(cursor)];
  // One scan of the filter's index reads the values and then the nulls, so one statement is enough.
  if (!cursor && scansDescending && usesFilterIndex(query)) return [statement([])];
  const isAmongNulls = cursor?.value === null;
  if (readsBackward) return isAmongNulls ? [rowsWithNull(cursor), rowsWithValue(undefined)] : [rowsWithValue(cursor)];
  return isAmongNulls ? [rowsWithNull(cursor)] : [rowsWithValue(cursor), rowsWithNull(undefined)];
}

/** Returns the statement that reads a range of rows in the direction of travel. */
function statementOf(
  table: ListTable,
  query: ListQuery,
  scansDescending: boolean,
  range: readonly Prisma.Sql[],
): PageStatement {
  const { conditions, ordering, include, limit } = query;
  const direction = Prisma.raw(scansDescending ? 'DESC' : 'ASC');
  // An ascending scan reads either values or nulls, so its NULLS clause moves no row. The clause matches the index
  // order, `DESC NULLS LAST`, so PostgreSQL reads the index backward instead of sorting.
  const nulls = Prisma.raw(
    table.nullable.includes(ordering.column) ? `NULLS ${scansDescending ? 'LAST' : 'FIRST'}` : '',
  );
  const filters = conditions.flatMap((condition) => [conditionSql(condition), indexPredicate(condition) ?? []].flat());
  const rows = (maxRows: number) => Prisma.sql`SELECT ${Prisma.raw(table.document(include))} AS document
      FROM ${Prisma.raw(table.name)} AS s WHERE ${allOf([...tableConditions(table), ...range, ...filters])}
      ORDER BY ${identifier(ordering.column)} ${direction} ${nulls}, id ${direction} LIMIT ${Prisma.raw(String(maxRows))}`;
  if (!hasOnePlan(query)) {
    const { text, values } = rows(limit + 1);
    return { text, values, hasOnePlan: false };
  }
  // Two limits. For a LIMIT in a parameter the planner assumes a tenth of the rows, so the inner LIMIT is a constant. The outer
  // one is a parameter: one statement serves many limits, and stops after the rows of its own page.
  const planned = plannedRows.find((count) => count > limit) ?? limit + 1;
  const { text, values } = Prisma.sql`SELECT document FROM (${rows(planned)}) AS most LIMIT ${limit + 1}::bigint`;
  return { text, values, hasOnePlan: true };
}

/** Row counts that kept plans are made for: the customary limits, plus the extra row. */
const plannedRows = [51, 101, 1001];

/**
 * Returns whether the best plan is the same for all values. Such a plan is one of two index scans:
 * - in the list's order, from an end or from one bound
 * - over the index of the only filter, in a list ordered by `created`
 *
 * PostgreSQL plans any other filter, and a range with two ends, for its values.
 */
function hasOnePlan(query: ListQuery): boolean {
  const { conditions, ordering, cursor } = query;
  const [condition, ...others] = conditions;
  if (!condition) return true;
  if (others.length > 0) return false;
  if (condition.column === ordering.column) return !cursor && isBound(condition);
  return usesFilterIndex(query);
}

/** Returns whether a scan of the only filter's index serves the list. The index has the order of `created`. */
function usesFilterIndex({ conditions, ordering }: ListQuery): boolean {
  const [condition, ...others] = conditions;
  return others.length === 0 && ordering.column === 'created' && !!condition && hasPartialIndex(condition);
}

const isBound = ({ lookup }: Condition) => ['gt', 'gte', 'lt', 'lte'].includes(lookup);

function tableConditions({ where }: ListTable): Prisma.Sql[] {
  return where === undefined ? [] : [Prisma.raw(where)];
}

function allOf(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.join(conditions, ' AND ');
}
