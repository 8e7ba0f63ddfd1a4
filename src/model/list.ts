import { closest, distance } from 'fastest-levenshtein';
import { type TSchema, Type } from 'typebox';
import type { Fault } from '../errors.js';
import { type EnumName, valuesOf } from './enums.js';
import { pointerTo, textFault } from './json.js';
import { type ColumnKind, type ColumnName, columns, type Session } from './session.js';
import type { Parsed } from './session-request.js';
import { parseTimestampOrDate } from './timestamp.js';

/**
 * The query of a list: filters in django-filter's spelling, orderings, keyset cursors. The filters are
 * derived from the model; their SQL is the database's affair.
 */

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

/** One condition on a session; a list combines them with AND. */
export interface Condition {
  readonly column: ColumnName;
  readonly kind: ColumnKind;
  readonly lookup: Lookup;
  /** An array for `in`, a boolean for `isnull` and boolean columns, else text. */
  readonly value: string | boolean | readonly (string | boolean)[];
  /** The key of `metadata[key]`. */
  readonly key?: string;
}

export const orderings = ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'] as const;

export interface Ordering {
  readonly column: (typeof orderings)[number];
  readonly descending: boolean;
}

/** A place in an ordered list: the ordering value and id of a row, and which side of it the page lies on. */
export interface Cursor {
  readonly ordering: string;
  readonly side: 'after' | 'before';
  readonly value: string | number | null;
  readonly id: string;
}

export interface ListQuery {
  readonly conditions: readonly Condition[];
  readonly ordering: Ordering;
  /** Sessions on a page, 1 to 1000. */
  readonly limit: number;
  readonly cursor: Cursor | undefined;
  readonly count: 'exact' | 'estimated' | undefined;
}

interface Filter {
  readonly column: ColumnName;
  readonly kind: ColumnKind;
  readonly lookup: Lookup;
  readonly schema: TSchema;
}

const lookupsByKind: Readonly<Record<ColumnKind, readonly Lookup[]>> = {
  integer: ['exact', 'in', 'gt', 'gte', 'lt', 'lte'],
  timestamp: ['exact', 'in', 'gt', 'gte', 'lt', 'lte'],
  text: ['exact', 'in', 'startswith', 'iexact', 'icontains'],
  enum: ['exact', 'in'],
  boolean: ['exact', 'in'],
  map: [],
};

const meanings: Readonly<Record<Exclude<Lookup, 'key'>, string>> = {
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

function filterSchema(column: ColumnName, kind: ColumnKind, lookup: Exclude<Lookup, 'key'>): TSchema {
  const description = `\`${column}\` ${meanings[lookup]}.`;
  if (lookup === 'isnull') return Type.Boolean({ description });
  if (lookup === 'in') return Type.Array(valueSchema(column, kind), { description, style: 'form', explode: false });
  return { ...valueSchema(column, kind), description };
}

function valueSchema(column: ColumnName, kind: ColumnKind): TSchema {
  switch (kind) {
    case 'integer':
      return Type.Integer();
    case 'boolean':
      return Type.Boolean();
    case 'timestamp':
      return Type.String({ format: 'date-time' });
    case 'enum':
      return Type.String({ enum: [...valuesOf(column as EnumName)] });
    default:
      return Type.String();
  }
}

/** Every filter by the name of its parameter, but `metadata[key]`, whose names have no end. */
const filters: ReadonlyMap<string, Filter> = new Map(
  columns.flatMap(({ name, kind, nullable }) => {
    const lookups = [...lookupsByKind[kind]] as Exclude<Lookup, 'key'>[];
    if (nullable && kind !== 'map') lookups.push('isnull');
    if (name === 'payment_method_types') lookups.push('contains');
    return lookups.map((lookup): [string, Filter] => [
      lookup === 'exact' ? name : `${name}__${lookup}`,
      { column: name, kind, lookup, schema: filterSchema(name, kind, lookup) },
    ]);
  }),
);

const metadataParameter = /^metadata\[(.*)\]$/s;

const defaultLimit = 50;
const maxLimit = 1000;
const defaultOrdering = '-created';

/** The parameters of the list, as the OpenAPI document publishes them. */
export const ListParameters = Type.Object({
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      description: `How many sessions a page holds at most; ${defaultLimit} when absent.`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({ description: 'Where the page begins: taken from `next` or `previous`, opaque.' }),
  ),
  ordering: Type.Optional(
    Type.String({
      enum: orderings.flatMap((name) => [name, `-${name}`]),
      description: `The property that orders the list, \`-\` before it for descending; \`${defaultOrdering}\` when absent. Ties are ordered by id, nulls come last.`,
    }),
  ),
  count: Type.Optional(
    Type.String({
      enum: ['exact', 'estimated'],
      description:
        'Fills `count`: `exact` counts every match, `estimated` asks the planner of the database, which is quick and rough.',
    }),
  ),
  ...Object.fromEntries([...filters].map(([name, { schema }]) => [name, Type.Optional(schema)])),
  metadata: Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: 'object',
      additionalProperties: { type: 'string' },
      style: 'deepObject',
      explode: true,
      description:
        '`metadata[key]=value`: the key of the metadata has the value. A number or boolean is compared by its JSON text.',
    }),
  ),
});

const parameterNames = Object.keys(ListParameters.properties);

type Query = Readonly<Record<string, string | readonly string[]>>;

/** Reads the query string of a list; every fault is reported, unknown parameters with the nearest name. */
export function parseListQuery(query: Query): Parsed<ListQuery> {
  const faults: Fault[] = [];
  const conditions: Condition[] = [];
  const settings: Record<string, string> = {};
  for (const [name, given] of Object.entries(query)) {
    const fault = (detail: string) => faults.push({ in: 'query', pointer: pointerTo('', name), detail });
    const texts = typeof given === 'string' ? [given] : given;
    const badText = texts.map(textFault).find(Boolean) ?? textFault(name);
    const filter = filters.get(name);
    const metadata = metadataParameter.exec(name);
    if (badText) fault(badText);
    else if (filter?.lookup === 'in') addCondition(filter, given);
    else if (texts.length !== 1) fault('is given more than once');
    else if (filter) addCondition(filter, texts[0] as string);
    else if (metadata) {
      conditions.push({
        column: 'metadata',
        kind: 'map',
        lookup: 'key',
        key: metadata[1] as string,
        value: texts[0] as string,
      });
    } else if (name !== 'metadata' && parameterNames.includes(name)) settings[name] = texts[0] as string;
    else fault(unknownParameter(name));

    function addCondition({ column, kind, lookup }: Filter, text: string | readonly string[]) {
      const value = conditionValue(column, kind, lookup, text);
      if (value === undefined) fault(`must be ${expectation(column, kind, lookup)}`);
      else conditions.push({ column, kind, lookup, value });
    }
  }
  const parsed = parseSettings(settings, faults);
  return faults.length > 0 ? { faults } : { value: { conditions, ...parsed } };
}

function unknownParameter(name: string): string {
  const nearest = closest(name, parameterNames);
  return `is not a filter or parameter of this list${distance(name, nearest) <= 4 ? `; did you mean ${nearest}?` : ''}`;
}

function conditionValue(column: ColumnName, kind: ColumnKind, lookup: Lookup, text: string | readonly string[]) {
  if (lookup === 'in') {
    // Repeated, each occurrence is one whole value; given once, commas separate.
    const texts = typeof text === 'string' ? text.split(',') : text;
    const values = texts.map((one) => parseValue(column, kind, one));
    return values.includes(undefined) ? undefined : (values as (string | boolean)[]);
  }
  return parseValue(column, lookup === 'isnull' ? 'boolean' : kind, text as string);
}

const integerRange = 2n ** 63n;

function parseValue(column: ColumnName, kind: ColumnKind, text: string): string | boolean | undefined {
  switch (kind) {
    case 'integer':
      return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? text : undefined;
    case 'boolean':
      return { true: true, false: false }[text.toLowerCase()];
    case 'timestamp':
      return parseTimestampOrDate(text);
    case 'enum':
      return valuesOf(column as EnumName).includes(text) ? text : undefined;
    default:
      return text;
  }
}

function expectation(column: ColumnName, kind: ColumnKind, lookup: Lookup): string {
  const one = {
    integer: `an integer below ${integerRange}`,
    boolean: 'true or false',
    timestamp: 'an RFC 3339 date-time or a date',
    enum: `one of ${kind === 'enum' ? valuesOf(column as EnumName).join(', ') : ''}`,
    text: 'a text',
    map: 'a text',
  };
  return one[lookup === 'isnull' ? 'boolean' : kind];
}

function parseSettings(settings: Record<string, string>, faults: Fault[]): Omit<ListQuery, 'conditions'> {
  const fault = (name: string, detail: string) => faults.push({ in: 'query', pointer: `/${name}`, detail });
  const cursor = settings.cursor === undefined ? undefined : decodeCursor(settings.cursor);
  if (settings.cursor !== undefined && !cursor) fault('cursor', 'is not a cursor that this list gave');

  const named = settings.ordering ?? cursor?.ordering ?? defaultOrdering;
  const ordering = parseOrdering(named);
  if (!ordering) fault('ordering', `must be one of ${orderings.join(', ')}, with - before it for descending`);
  else if (cursor && cursor.ordering !== named) fault('cursor', `belongs to ordering=${cursor.ordering}`);

  const limit = settings.limit === undefined ? defaultLimit : Number(settings.limit);
  if (!/^\d+$/.test(settings.limit ?? '1') || limit < 1 || limit > maxLimit) {
    fault('limit', `must be an integer from 1 to ${maxLimit}`);
  }
  const { count } = settings;
  if (count !== undefined && count !== 'exact' && count !== 'estimated') {
    fault('count', 'must be exact or estimated');
  }
  return {
    ordering: ordering ?? { column: 'created', descending: true },
    limit,
    cursor,
    count: count as ListQuery['count'],
  };
}

function parseOrdering(text: string): Ordering | undefined {
  const column = orderings.find((name) => name === text.replace(/^-/, ''));
  return column && { column, descending: text.startsWith('-') };
}

export function orderingName({ column, descending }: Ordering): string {
  return descending ? `-${column}` : column;
}

/** The cursor for the page on one side of a session. */
export function cursorAt(session: Session, ordering: Ordering, side: Cursor['side']): Cursor {
  return { ordering: orderingName(ordering), side, value: session[ordering.column] ?? null, id: session.id };
}

/** As it stands in a URL. */
export function encodeCursor({ ordering, side, value, id }: Cursor): string {
  return Buffer.from(JSON.stringify([ordering, side, value, id])).toString('base64url');
}

function decodeCursor(text: string): Cursor | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 4) return undefined;
  const [ordering, side, value, id] = parts;
  const by = typeof ordering === 'string' ? parseOrdering(ordering) : undefined;
  if (!by || (side !== 'after' && side !== 'before')) return undefined;
  if (typeof id !== 'string' || textFault(id) || !isOrderingValue(by.column, value)) return undefined;
  return { ordering, side, value, id };
}

function isOrderingValue(column: Ordering['column'], value: unknown): boolean {
  if (column === 'djstripe_id') return Number.isSafeInteger(value);
  if (column === 'created' && value === null) return true;
  if (typeof value !== 'string') return false;
  return column === 'id' ? textFault(value) === undefined : parseTimestampOrDate(value) !== undefined;
}
