import type { Condition } from '../../model/filters.js';
import type { ColumnKind } from '../../model/session.js';
import { sqlTypes } from '../columns.js';
import { Prisma } from '../generated/client.js';

/** Returns the quoted name of a column. The name must not come from a client. */
export function identifier(column: string): Prisma.Sql {
  return Prisma.raw(`"${column}"`);
}

/** Returns a parameter, cast to the SQL type of a kind of column. */
export function typedParameter(kind: ColumnKind, value: unknown): Prisma.Sql {
  return Prisma.sql`${value}::${Prisma.raw(sqlTypes[kind])}`;
}

/** Collation for comparing without case. The ids have the collation "C", which folds only ASCII letters. */
const caseFolding = Prisma.raw('COLLATE "default"');

const comparisons = { exact: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/**
 * Returns the SQL of a filter.
 *
 * @example customer = $1::text
 * @example "created" >= $1::timestamptz
 */
export function conditionSql({ column, kind, lookup, value, key }: Condition): Prisma.Sql {
  if (column === 'email') return emailSql([value].flat() as string[]);
  const name = identifier(column);
  switch (lookup) {
    case 'in':
      return Prisma.sql`${name} = ANY(${value}::${Prisma.raw(sqlTypes[kind])}[])`;
    case 'isnull':
      return value ? Prisma.sql`${name} IS NULL` : Prisma.sql`${name} IS NOT NULL`;
    case 'startswith':
      return Prisma.sql`${name} LIKE ${`${escapeLike(value as string)}%`}::text`;
    case 'iexact':
      return Prisma.sql`lower(${name} ${caseFolding}) = lower(${value}::text ${caseFolding})`;
    case 'icontains':
      return Prisma.sql`${name} ${caseFolding} ILIKE ${`%${escapeLike(value as string)}%`}::text`;
    case 'contains':
      return Prisma.sql`EXISTS (SELECT FROM jsonb_each_text(${name}) AS entry WHERE entry.value = ${value}::text)`;
    case 'key':
      return keySql(name, key as string, value as string);
    default:
      return Prisma.sql`${name} ${Prisma.raw(comparisons[lookup])} ${typedParameter(kind, value)}`;
  }
}

/** Returns a LIKE pattern that matches exactly a text. */
function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

/**
 * Returns the condition of `metadata[key]=value`. The GIN index serves only containment (`@>`). A value such as `5` or `true`
 * may be stored as a number or boolean, so the condition looks for both types. jsonb treats 5 and 5.0 as equal, so `->>`
 * compares the text too.
 */
function keySql(name: Prisma.Sql, key: string, value: string): Prisma.Sql {
  const pair = (json: string) => Prisma.sql`${name} @> ${`{${JSON.stringify(key)}:${json}}`}::jsonb`;
  const asText = pair(JSON.stringify(value));
  if (!/^(true|false|-?(0|[1-9]\d*)(\.\d+)?)$/.test(value)) return asText;
  return Prisma.sql`(${asText} OR ${pair(value)}) AND ${name} ->> ${key}::text = ${value}::text`;
}

/** The columns with a partial index (see the migrations). The index holds values of 1 to `maxIndexedBytes` bytes. */
const partiallyIndexed = [
  'customer',
  'payment_intent',
  'subscription',
  'client_reference_id',
  'customer_email',
  'customer_account',
  'payment_link',
  'invoice',
];
const maxIndexedBytes = 1024;

/** Returns whether a condition looks for one value in a partial index. */
export function hasPartialIndex(condition: Condition): boolean {
  return condition.lookup === 'exact' && indexPredicate(condition) !== undefined;
}

/**
 * Returns the predicate of the partial index that serves a condition, or undefined if there is none. The condition implies the
 * predicate, but the planner cannot prove that and uses the index only if the query repeats it.
 */
export function indexPredicate({ column, lookup, value }: Condition): Prisma.Sql | undefined {
  if (!partiallyIndexed.includes(column) || (lookup !== 'exact' && lookup !== 'in')) return undefined;
  return fitPartialIndex(maxIndexedBytes, [value].flat()) ? predicateOf(column) : undefined;
}

const predicateOf = (column: string) =>
  Prisma.sql`octet_length(${identifier(column)}) BETWEEN 1 AND ${Prisma.raw(String(maxIndexedBytes))}`;

function fitPartialIndex(bytes: number, values: readonly (string | boolean)[]): boolean {
  return values.every((value) => {
    const size = Buffer.byteLength(String(value));
    return size >= 1 && size <= bytes;
  });
}

/**
 * Returns the condition of the filter `email`, without regard to case. It finds the address that the shop prefilled and the one
 * that the customer typed at the checkout. PostgreSQL folds both sides, so they agree in any collation. A folded letter may
 * have up to half as many bytes again, so longer addresses than `maxIndexedBytes / 2` do not use the indexes.
 */
function emailSql(values: readonly string[]): Prisma.Sql {
  const addresses = values.filter((value) => value !== '');
  if (addresses.length === 0) return Prisma.sql`false`;
  const isIndexed = fitPartialIndex(maxIndexedBytes / 2, addresses);
  const wanted = Prisma.join(addresses.map((value) => Prisma.sql`lower(${value}::text)`));
  const either = [
    { folded: Prisma.sql`lower(customer_email)`, column: 'customer_email' },
    { folded: identifier('checkout_email'), column: 'checkout_email' },
  ].map(({ folded, column }) => {
    const found = Prisma.sql`${folded} IN (${wanted})`;
    return isIndexed ? Prisma.sql`(${found} AND ${predicateOf(column)})` : found;
  });
  return Prisma.sql`(${Prisma.join(either, ' OR ')})`;
}
