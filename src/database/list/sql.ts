import type { Condition } from '../../model/filters.js';
import type { ColumnKind } from '../../model/session.js';
import { sqlTypes } from '../columns.js';
import { Prisma } from '../generated/client.js';

/** The name of a column, quoted: never a client's word. */
export function identifier(column: string): Prisma.Sql {
  return Prisma.raw(`"${column}"`);
}

/** A parameter of a kind of column. */
export function parameter(kind: ColumnKind, value: unknown): Prisma.Sql {
  return Prisma.sql`${value}::${Prisma.raw(sqlTypes[kind])}`;
}

/** For comparing whatever the case: the "C" of the ids knows only that of ASCII. */
const folding = Prisma.raw('COLLATE "default"');

const comparisons = { exact: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/**
 * The SQL of one condition.
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
      return Prisma.sql`${name} LIKE ${`${literal(value as string)}%`}::text`;
    case 'iexact':
      return Prisma.sql`lower(${name} ${folding}) = lower(${value}::text ${folding})`;
    case 'icontains':
      return Prisma.sql`${name} ${folding} ILIKE ${`%${literal(value as string)}%`}::text`;
    case 'contains':
      return Prisma.sql`EXISTS (SELECT FROM jsonb_each_text(${name}) AS entry WHERE entry.value = ${value}::text)`;
    case 'key':
      return keySql(name, key as string, value as string);
    default:
      return Prisma.sql`${name} ${Prisma.raw(comparisons[lookup])} ${parameter(kind, value)}`;
  }
}

/** A text as a LIKE pattern that matches it alone. */
function literal(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

/**
 * `metadata[key]=value`. Containment is what the GIN index serves. A value that reads as a number or boolean
 * may be stored as one, and 5 contains 5.0: the text decides.
 */
function keySql(name: Prisma.Sql, key: string, value: string): Prisma.Sql {
  const pair = (json: string) => Prisma.sql`${name} @> ${`{${JSON.stringify(key)}:${json}}`}::jsonb`;
  const asText = pair(JSON.stringify(value));
  if (!/^(true|false|-?(0|[1-9]\d*)(\.\d+)?)$/.test(value)) return asText;
  return Prisma.sql`(${asText} OR ${pair(value)}) AND ${name} ->> ${key}::text = ${value}::text`;
}

/** The columns with a partial index, and the bytes of the values that are in it (see the migrations). */
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
const indexedBytes = 1024;

/** Whether a condition is for one value that is in a partial index. */
export function hasPartialIndex(condition: Condition): boolean {
  return condition.lookup === 'exact' && indexPredicate(condition) !== undefined;
}

/** What a condition implies and a partial index asks for: without it the planner may not use the index. */
export function indexPredicate({ column, lookup, value }: Condition): Prisma.Sql | undefined {
  if (!partiallyIndexed.includes(column) || (lookup !== 'exact' && lookup !== 'in')) return undefined;
  return areWithin(indexedBytes, [value].flat()) ? predicateOf(column) : undefined;
}

const predicateOf = (column: string) =>
  Prisma.sql`octet_length(${identifier(column)}) BETWEEN 1 AND ${Prisma.raw(String(indexedBytes))}`;

function areWithin(bytes: number, values: readonly (string | boolean)[]): boolean {
  return values.every((value) => {
    const size = Buffer.byteLength(String(value));
    return size >= 1 && size <= bytes;
  });
}

/**
 * `email`: what the shop prefilled, or what the customer typed at the checkout, whatever the case. PostgreSQL folds both
 * sides, so that they agree in any collation. A letter takes up to half as many bytes again once it is folded.
 */
function emailSql(values: readonly string[]): Prisma.Sql {
  const addresses = values.filter((value) => value !== '');
  if (addresses.length === 0) return Prisma.sql`false`;
  const isIndexed = areWithin(indexedBytes / 2, addresses);
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
