import { type TSchema, Type } from 'typebox';
import { didYouMean } from './did-you-mean.js';
import type { ColumnKind } from './session.js';
import { parseLenientTimestamp } from './timestamp.js';

/** The filters of a list, derived from the columns of its resource and named as django-filter names them. */

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

/** A condition on a row. A list combines its conditions with AND. */
export interface Condition {
  readonly column: string;
  readonly kind: ColumnKind;
  readonly lookup: Lookup;
  /** An array for `in`, a boolean for `isnull` and for boolean columns, else a text. */
  readonly value: string | boolean | readonly (string | boolean)[];
  /** The key of `metadata[key]`. */
  readonly key?: string;
}

/** A column that a list can filter by. */
export interface ListColumn {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** All values of the column, if it is a closed set. */
  readonly values?: readonly string[];
  /** Replaces the lookups of the column's kind. */
  readonly lookups?: readonly PublishedLookup[];
  /** The subject of the sentences that describe the filters. The default is the column's name in backquotes. */
  readonly subject?: string;
  /** Sentences that follow in the description of each filter. */
  readonly note?: string;
}

/** A filter: one lookup on one column. */
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
  in: 'is one of the comma-separated values. Repeat the parameter for values that contain commas',
  isnull: 'is null (`true`) or is not null (`false`)',
  gt: 'is greater than the value',
  gte: 'is greater than or equal to the value',
  lt: 'is less than the value',
  lte: 'is less than or equal to the value',
  startswith: 'starts with the text',
  iexact: 'equals the text, ignoring case',
  icontains: 'contains the text, ignoring case',
  contains: 'contains the value',
};

const timestampForms =
  'The value is an RFC 3339 date-time, or a date, which means its midnight. Without an offset it is UTC.';

/** Returns the schema of a filter's query parameter. */
export function filterSchema({ column, lookup }: Filter): TSchema {
  const { name, kind, subject = `\`${name}\``, note } = column;
  const sentences = [`Matches rows where ${subject} ${lookupTexts[lookup]}.`];
  if (kind === 'timestamp' && lookup !== 'isnull') sentences.push(timestampForms);
  if (note) sentences.push(note);
  const description = sentences.join(' ');
  if (lookup === 'isnull') return Type.Boolean({ description });
  if (lookup === 'in')
    return Type.Array(valueSchema(column), { minItems: 1, description, style: 'form', explode: false });
  return { ...valueSchema(column), description };
}

/** Returns the schema of one value of a column, without a description. */
function valueSchema({ kind, values }: ListColumn): TSchema {
  switch (kind) {
    case 'integer':
      return Type.Integer({ format: 'int64' });
    case 'boolean':
      return Type.Boolean();
    case 'timestamp':
      // No format `date-time`: a typed client could then send no plain date, and would format the time in its own way.
      return Type.String();
    default:
      return Type.String(values && { enum: [...values] });
  }
}

/** Returns the filters of the columns, by parameter name. `metadata[key]` is not among them: its names are unlimited. */
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

/** Parses the texts of a filter's parameter. Returns undefined if one of them is not a valid value. */
export function parseFilterValue({ column, lookup }: Filter, texts: readonly string[]): Condition['value'] | undefined {
  if (lookup === 'in') {
    const values = texts.flatMap((text) => parseValue(column, text) ?? []);
    return values.length === texts.length ? values : undefined;
  }
  return parseValue(lookup === 'isnull' ? { ...column, kind: 'boolean' } : column, texts[0] as string);
}

/** PostgreSQL's bigint goes from minus this number to one below it. */
const bigintLimit = 2n ** 63n;

const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** Parses one text by the kind of the column. Returns undefined if the text is not a valid value. */
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

/** Describes the allowed values of a filter, for a fault. For a closed set it suggests the value nearest to the wrong one. */
export function describeAllowed({ column, lookup }: Filter, texts: readonly string[]): string {
  const { kind, values = [] } = column;
  switch (lookup === 'isnull' ? 'boolean' : kind) {
    case 'integer':
      return `an integer from ${-bigintLimit} to ${bigintLimit - 1n}`;
    case 'boolean':
      return 'true or false (or 1 or 0)';
    case 'timestamp':
      return 'a date-time such as 2026-01-31T12:00:00Z, or a date';
    default: {
      const wrong = texts.find((text) => !values.includes(text)) ?? '';
      return `one of ${values.join(', ')}${didYouMean(wrong, values)}`;
    }
  }
}
