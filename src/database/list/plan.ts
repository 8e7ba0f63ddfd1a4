import type { Cursor } from '../../model/cursor.js';
import type { Condition } from '../../model/filters.js';
import type { ListQuery } from '../../model/list.js';
import type { ColumnKind } from '../../model/session.js';
import { Prisma } from '../generated/client.js';
import { conditionSql, hasPartialIndex, identifier, indexPredicate, parameter } from './sql.js';

/** Decides which statements a page of a list takes. */

/** A table that is listed. Its rows have a unique `id`, and are published as JSON text made by PostgreSQL. */
export interface ListTable {
  readonly name: string;
  /** The ordering columns that may be null. */
  readonly nullable: readonly string[];
  /** The condition of the rows that are listed, of the table `s`. */
  readonly where?: string;
  /** What the other rows have in the ordering columns, as SQL: less than every row that is listed. An index skips them as a range. */
  readonly hiddenValues?: Readonly<Record<string, string>>;
  /** The kinds of the ordering columns. */
  readonly kinds: Readonly<Record<string, ColumnKind>>;
  /** The SQL of a row's JSON, of the table `s`. */
  readonly document: (include: string | undefined) => string;
}

/** A statement whose rows are documents: JSON without a line break, as PostgreSQL writes it. */
export interface PageStatement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Whether one plan is the best whatever the values, so that it may be made once and kept. */
  readonly hasOnePlan: boolean;
}

/** Returns the SQL of the rows that a query counts. */
export function countedRows(table: ListTable, { conditions }: ListQuery): Prisma.Sql {
  return Prisma.sql`FROM ${Prisma.raw(table.name)} AS s WHERE ${all([...listed(table), ...conditions.map(conditionSql)])}`;
}

/**
 * Returns the statements of a page, to run one after the other until the page is full. Nulls come last whatever the
 * direction. A condition over values and nulls at once would read the whole index, so each is a range of its own. Each
 * statement gives one row more than the page has, which tells that there are more.
 *
 * @param further conditions on the rows beside the filters of the query.
 */
export function pageStatements(
  table: ListTable,
  query: ListQuery,
  further: readonly Prisma.Sql[] = [],
): PageStatement[] {
  const { ordering, cursor } = query;
  const name = identifier(ordering.column);
  const kind = table.kinds[ordering.column] ?? 'text';
  // A row without a value satisfies no comparison with one.
  const isCompared = query.conditions.some(({ column, lookup }) => column === ordering.column && lookup !== 'isnull');
  const isNullable = table.nullable.includes(ordering.column) && !isCompared;
  const isBackward = cursor?.side === 'before';
  const isDescending = ordering.descending !== isBackward;
  const beyond = Prisma.raw(isDescending ? '<' : '>');
  const hiddenValue = isCompared ? undefined : table.hiddenValues?.[ordering.column];
  const hasValue = hiddenValue
    ? [Prisma.sql`${name} > ${Prisma.raw(hiddenValue)}`]
    : isNullable
      ? [Prisma.sql`${name} IS NOT NULL`]
      : [];

  const statement = (range: readonly Prisma.Sql[]) => statementOf(table, query, isDescending, [...range, ...further]);
  const values = (after: Cursor | undefined) => {
    if (!after) return statement(hasValue);
    const position = Prisma.sql`(${parameter(kind, after.value)}, ${after.id}::text)`;
    return statement([...hasValue, Prisma.sql`(${name}, id) ${beyond} ${position}`]);
  };
  const nulls = (after: Cursor | undefined) =>
    statement([Prisma.sql`${name} IS NULL`, ...(after ? [Prisma.sql`id ${beyond} ${after.id}::text`] : [])]);

  if (!isNullable) return [values(cursor)];
  // The index of the filter has the nulls after the values in this order.
  if (!cursor && isDescending && isSelective(query)) return [statement([])];
  const isAmongNulls = cursor?.value === null;
  if (isBackward) return isAmongNulls ? [nulls(cursor), values(undefined)] : [values(cursor)];
  return isAmongNulls ? [nulls(cursor)] : [values(cursor), nulls(undefined)];
}

/** Returns the statement of the rows of a range, in the direction of travel. */
function statementOf(
  table: ListTable,
  query: ListQuery,
  isDescending: boolean,
  range: readonly Prisma.Sql[],
): PageStatement {
  const { conditions, ordering, include, limit } = query;
  const direction = Prisma.raw(isDescending ? 'DESC' : 'ASC');
  // As the indexes have them: in one order last, in the other first.
  const nulls = Prisma.raw(table.nullable.includes(ordering.column) ? `NULLS ${isDescending ? 'LAST' : 'FIRST'}` : '');
  const filters = conditions.flatMap((condition) => [conditionSql(condition), indexPredicate(condition) ?? []].flat());
  const rows = (most: number) => Prisma.sql`SELECT ${Prisma.raw(table.document(include))} AS document
      FROM ${Prisma.raw(table.name)} AS s WHERE ${all([...listed(table), ...range, ...filters])}
      ORDER BY ${identifier(ordering.column)} ${direction} ${nulls}, id ${direction} LIMIT ${Prisma.raw(String(most))}`;
  if (!hasOnePlan(query)) {
    const { text, values } = rows(limit + 1);
    return { text, values, hasOnePlan: false };
  }
  // Two limits. The planner needs a number: it takes any limit for a tenth of the table. The value makes one statement serve
  // many limits, and stops it after the rows of its own page.
  const planned = plannedRows.find((count) => count > limit) ?? limit + 1;
  const { text, values } = Prisma.sql`SELECT document FROM (${rows(planned)}) AS most LIMIT ${limit + 1}::bigint`;
  return { text, values, hasOnePlan: true };
}

/** The rows that a plan which is kept is made for: those of customary limits, and one more. */
const plannedRows = [51, 101, 1001];

/**
 * Returns whether one plan is the best whatever the values: along the index of the ordering, from one end or a bound, or along
 * that of a filter that has an index in the default order. Other filters, and ranges with two ends, are planned for the values
 * that they come with.
 */
function hasOnePlan(query: ListQuery): boolean {
  const { conditions, ordering, cursor } = query;
  const [condition, ...others] = conditions;
  if (!condition) return true;
  if (others.length > 0) return false;
  if (condition.column === ordering.column) return !cursor && isBound(condition);
  return isSelective(query);
}

/** Returns whether the one filter has an index in the default order. */
function isSelective({ conditions, ordering }: ListQuery): boolean {
  const [condition, ...others] = conditions;
  return others.length === 0 && ordering.column === 'created' && !!condition && hasPartialIndex(condition);
}

const isBound = ({ lookup }: Condition) => ['gt', 'gte', 'lt', 'lte'].includes(lookup);

function listed({ where }: ListTable): Prisma.Sql[] {
  return where === undefined ? [] : [Prisma.raw(where)];
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.join(conditions, ' AND ');
}
