import { type TSchema, Type } from 'typebox';
import { didYouMean } from './did-you-mean.js';
import type { ColumnKind } from './session.js';
import { parseLenientTimestamp } from './timestamp.js';

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
  /** What the filters compare, where the name does not say it; the column's name in backquotes when absent. */
  readonly subject?: string;
  /** A sentence that is added to the description of the filters. */
  readonly note?: string;
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

const lookupTexts: Readonly<Record<PublishedLookup, string>> = {
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

const timestampForms = 'RFC 3339, or a date for its midnight; without an offset it is UTC.';

/** The schema of a filter's parameter. */
export function filterSchema({ column, lookup }: Filter): TSchema {
  const { name, kind, subject = `\`${name}\``, note } = column;
  const sentences = [`${subject} ${lookupTexts[lookup]}.`];
  if (kind === 'timestamp' && lookup !== 'isnull') sentences.push(timestampForms);
  if (note) sentences.push(note);
  const description = sentences.join(' ');
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
      // Without a format: typed clients would send the spelling of their own date-times, and no dates.
      return Type.String();
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

/** Reads the values given for a filter; undefined when one of them is none. */
export function parseFilterValue({ column, lookup }: Filter, texts: readonly string[]): Condition['value'] | undefined {
  if (lookup === 'in') {
    const values = texts.flatMap((one) => parseValue(column, one) ?? []);
    return values.length === texts.length ? values : undefined;
  }
  return parseValue(lookup === 'isnull' ? { ...column, kind: 'boolean' } : column, texts[0] as string);
}

const integerRange = 2n ** 63n;

const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

function parseValue({ kind, values }: ListColumn, text: string): string | boolean | undefined {
  switch (kind) {
    case 'integer':
      return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? text : undefined;
    case 'boolean':
      return booleans.get(text.toLowerCase());
    case 'timestamp':
      return parseLenientTimestamp(text);
    default:
      return values === undefined || values.includes(text) ? text : undefined;
  }
}

/** What the value of a filter must be, in words, with the allowed value that is nearest to what was given. */
export function describeAllowed({ column, lookup }: Filter, texts: readonly string[]): string {
  const { kind, values = [] } = column;
  const closed = () => {
    const wrong = texts.find((text) => !values.includes(text)) ?? '';
    return `one of ${values.join(', ')}${didYouMean(wrong, values)}`;
  };
  switch (lookup === 'isnull' ? 'boolean' : kind) {
    case 'integer':
      return `an integer below ${integerRange}`;
    case 'boolean':
      return 'true or false (or 1 or 0)';
    case 'timestamp':
      return 'a date-time such as 2026-01-31T12:00:00Z, or a date';
    default:
      return closed();
  }
}
