import { type TSchema, Type } from 'typebox';
import type { ColumnKind } from './session.js';
import { parseTimestampOrDate } from './timestamp.js';

/** The filters of a list, in django-filter's spelling, derived from the columns of its resource. */

export type Lookup =
  | 'exact'
  | 'in'
  | 'isnull'
  | 'gt'
  | 'gte'
  | 'lt'
  | 'lte'
  | 'startswith'
  | 'iexact'
  | 'icontains'
  | 'contains'
  | 'key';

type PublishedLookup = Exclude<Lookup, 'key'>;

/** One condition on a row; a list combines them with AND. */
export interface Condition {
  readonly column: string;
  readonly kind: ColumnKind;
  readonly lookup: Lookup;
  /** An array for `in`, a boolean for `isnull` and boolean columns, else text. */
  readonly value: string | boolean | readonly (string | boolean)[];
  /** The key of `metadata[key]`. */
  readonly key?: string;
}

/** What a list can filter by. */
export interface ListColumn {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** The only values it has. */
  readonly values?: readonly string[];
  /** Instead of the lookups of its kind. */
  readonly lookups?: readonly PublishedLookup[];
}

/** A filter by one column. */
export interface Filter {
  readonly column: ListColumn;
  readonly lookup: PublishedLookup;
}

const lookupsByKind: Readonly<Record<ColumnKind, readonly PublishedLookup[]>> = {
  integer: ['exact', 'in', 'gt', 'gte', 'lt', 'lte'],
  timestamp: ['exact', 'in', 'gt', 'gte', 'lt', 'lte'],
  text: ['exact', 'in', 'startswith', 'iexact', 'icontains'],
  enum: ['exact', 'in'],
  boolean: ['exact', 'in'],
  map: [],
};

const meanings: Readonly<Record<PublishedLookup, string>> = {
  exact: 'equals the value',
  in: 'is one of the comma-separated values (repeat the parameter for values that hold commas)',
  isnull: 'is null (true) or is not (false)',
  gt: 'is greater than the value',
  gte: 'is the value or greater',
  lt: 'is less than the value',
  lte: 'is the value or less',
  startswith: 'starts with the text',
  iexact: 'equals the text, whatever the case',
  icontains: 'holds the text, whatever the case',
  contains: 'holds the value',
};

/** The schema of a filter's parameter. */
export function filterSchema({ column, lookup }: Filter): TSchema {
  const description = `\`${column.name}\` ${meanings[lookup]}.`;
  if (lookup === 'isnull') return Type.Boolean({ description });
  if (lookup === 'in')
    return Type.Array(valueSchema(column), { minItems: 1, description, style: 'form', explode: false });
  return { ...valueSchema(column), description };
}

function valueSchema({ kind, values }: ListColumn): TSchema {
  switch (kind) {
    case 'integer':
      return Type.Integer({ format: 'int64' });
    case 'boolean':
      return Type.Boolean();
    case 'timestamp':
      return Type.String({ format: 'date-time' });
    default:
      return Type.String(values && { enum: [...values] });
  }
}

/** Every filter by the name of its parameter, but `metadata[key]`, whose names have no end. */
export function filtersOf(columns: readonly ListColumn[]): ReadonlyMap<string, Filter> {
  return new Map(
    columns.flatMap((column) => {
      const lookups = [...(column.lookups ?? lookupsByKind[column.kind])];
      if (column.nullable && column.kind !== 'map' && !column.lookups) lookups.push('isnull');
      return lookups.map((lookup): [string, Filter] => [
        lookup === 'exact' ? column.name : `${column.name}__${lookup}`,
        { column, lookup },
      ]);
    }),
  );
}

/** Reads the value of a filter; undefined when it is none. */
export function conditionValue({ column, lookup }: Filter, given: string | readonly string[]) {
  if (lookup === 'in') {
    // Repeated, each occurrence is one whole value; given once, commas separate.
    const texts = typeof given === 'string' ? given.split(',') : given;
    const values = texts.map((one) => parseValue(column, one));
    return values.includes(undefined) ? undefined : (values as (string | boolean)[]);
  }
  return parseValue(lookup === 'isnull' ? { ...column, kind: 'boolean' } : column, String(given));
}

const integerRange = 2n ** 63n;

function parseValue({ kind, values }: ListColumn, text: string): string | boolean | undefined {
  switch (kind) {
    case 'integer':
      return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? text : undefined;
    case 'boolean':
      return { true: true, false: false }[text.toLowerCase()];
    case 'timestamp':
      return parseTimestampOrDate(text);
    default:
      return values === undefined || values.includes(text) ? text : undefined;
  }
}

/** What the value of a filter must be, in words. */
export function expectation({ column: { kind, values }, lookup }: Filter): string {
  const one = {
    integer: `an integer below ${integerRange}`,
    boolean: 'true or false',
    timestamp: 'an RFC 3339 date-time or a date',
    enum: `one of ${values?.join(', ')}`,
    text: `one of ${values?.join(', ')}`,
    map: 'a text',
  };
  return one[lookup === 'isnull' ? 'boolean' : kind];
}
