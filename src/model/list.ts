import { type TSchema, Type } from 'typebox';
import type { Fault } from '../errors.js';
import { type Cursor, decodeCursor, type Ordering, parseOrdering } from './cursor.js';
import { didYouMean } from './did-you-mean.js';
import {
  type Condition,
  describeAllowed,
  type Filter,
  filterSchema,
  filtersOf,
  type ListColumn,
  parseFilterValue,
} from './filters.js';
import { pointerTo, textFault } from './json.js';
import { queryEntries, queryParameters, unknownParameterHint } from './query-names.js';
import type { Parsed } from './session-request.js';

/** The query of a list, derived from what its resource filters and orders by. Its SQL is the database's affair. */

export interface ListQuery<Include extends string = string> {
  readonly conditions: readonly Condition[];
  readonly ordering: Ordering;
  /** Sessions on a page, 1 to 1000. */
  readonly limit: number;
  readonly cursor: Cursor | undefined;
  readonly count: (typeof counts)[number] | undefined;
  /** What is added to each row. */
  readonly include: Include | undefined;
}

/** A list of a resource: what it filters and orders by. Rows are told apart by `id`. */
export interface ListDefinition<Include extends string = string> {
  readonly columns: readonly ListColumn[];
  /** The columns that it can be ordered by. */
  readonly orderings: readonly string[];
  /** A column, with `-` before it for descending. */
  readonly defaultOrdering: string;
  /** Whether it takes `metadata[key]=value`. */
  readonly hasMetadata: boolean;
  /** What `include` can add to each row. */
  readonly includes: readonly Include[];
}

const metadataParameter = /^metadata\[(.*)\]$/s;

const counts = ['exact', 'estimated'] as const;
const defaultLimit = 50;
const maxLimit = 1000;

/** The parameters that a reader looks for, in the order of the document; the other lookups follow them. */
export const firstParameters: readonly string[] = [
  ...['customer', 'email', 'status', 'payment_status', 'session_id', 'type', 'outcome', 'created__gte'],
  ...['limit', 'cursor', 'ordering', 'count', 'include', 'metadata'],
];

/** What the description of a list says of its filters. */
export const filterRules =
  'Filters are combined with AND. `name=value` compares any property, `name__in=a,b` with several values. Texts also take `__startswith`, `__iexact` and `__icontains`; times and numbers `__gt`, `__gte`, `__lt` and `__lte`; what can be null `__isnull`.';

/** The parameters of a list, as the OpenAPI document publishes them. */
function parametersOf(definition: ListDefinition, filters: ReadonlyMap<string, Filter>) {
  const { orderings, defaultOrdering, hasMetadata, includes } = definition;
  const parameters: Record<string, TSchema> = {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxLimit,
        description: `How many rows a page holds at most; ${defaultLimit} when absent.`,
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
        enum: [...counts],
        description:
          'Fills `count`: `exact` counts every match, `estimated` asks the planner of the database, which is quick and rough.',
      }),
    ),
    ...(includes.length > 0 && { include: Type.Optional(includeSchema(includes)) }),
    ...Object.fromEntries([...filters].map(([name, filter]) => [name, Type.Optional(filterSchema(filter))])),
    ...(hasMetadata && {
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
    }),
  };
  const names = [...new Set([...firstParameters, ...Object.keys(parameters)])];
  const inOrder = names.flatMap((name) => (parameters[name] ? [[name, parameters[name]] as const] : []));
  return Type.Object(Object.fromEntries(inOrder));
}

function includeSchema(includes: readonly string[]) {
  return Type.String({
    enum: [...includes],
    description:
      'Adds a property of this name to each session: `payment` as its own operation answers it, or null where nothing came from Stripe.',
  });
}

/** Derives the parameters of a list and their parser from what it filters and orders by. */
export function defineList<Include extends string>(definition: ListDefinition<Include>) {
  const filters = filtersOf(definition.columns);
  const parameters = parametersOf(definition, filters);
  const names = Object.keys(parameters.properties);
  const retrieveParameters = Type.Object({ include: Type.Optional(includeSchema(definition.includes)) });

  /** Reads a query string; every fault is reported, unknown parameters with the nearest name. */
  function parse(query: unknown): Parsed<ListQuery<Include>> {
    const faults: Fault[] = [];
    const conditions: Condition[] = [];
    const settings: Record<string, string> = {};
    for (const { name, parameter, texts } of queryParameters(query, filters)) {
      const fault = (detail: string) => faults.push({ in: 'query', pointer: pointerTo('', name), detail });
      const [text = ''] = texts;
      const badText = texts.map(textFault).find(Boolean) ?? textFault(name);
      const filter = filters.get(parameter);
      const key = definition.hasMetadata ? metadataParameter.exec(name)?.[1] : undefined;
      if (badText) fault(badText);
      else if (texts.length !== 1 && filter?.lookup !== 'in') fault('is given more than once');
      else if (filter) {
        const value = parseFilterValue(filter, texts);
        if (value === undefined) fault(`must be ${describeAllowed(filter, texts)}`);
        else conditions.push({ column: filter.column.name, kind: filter.column.kind, lookup: filter.lookup, value });
      } else if (key !== undefined) {
        conditions.push({ column: 'metadata', kind: 'map', lookup: 'key', key, value: text });
      } else if (name !== 'metadata' && names.includes(name)) settings[name] = text;
      else fault(`is not a filter or parameter of this list${unknownParameterHint(name, names)}`);
    }
    const parsed = parseSettings(settings, definition, faults);
    return faults.length > 0 ? { faults } : { value: { conditions, ...parsed } };
  }

  /** Reads the query string of a single row: of the list's parameters it takes `include` alone. */
  function parseRetrieve(query: unknown): Parsed<{ include: Include | undefined }> {
    const given = queryEntries(query);
    // Nearly all requests ask for nothing more.
    if (given.length === 0) return { value: { include: undefined } };
    const parsed = parse(Object.fromEntries(given.filter(([name]) => name === 'include')));
    const unknown = given.flatMap(([name]): Fault[] => {
      if (name === 'include') return [];
      return [{ in: 'query', pointer: pointerTo('', name), detail: 'is not a parameter of this operation' }];
    });
    if (parsed.faults || unknown.length > 0) return { faults: [...(parsed.faults ?? []), ...unknown] };
    return { value: { include: parsed.value.include } };
  }

  return { parameters, retrieveParameters, parse, parseRetrieve };
}

function parseSettings<Include extends string>(
  settings: Record<string, string>,
  { columns, orderings, defaultOrdering, includes }: ListDefinition<Include>,
  faults: Fault[],
): Omit<ListQuery<Include>, 'conditions'> {
  const fault = (name: string, detail: string) => faults.push({ in: 'query', pointer: `/${name}`, detail });
  const count = counts.find((name) => name === settings.count);
  const include = includes.find((name) => name === settings.include);
  const cursor =
    settings.cursor === undefined ? undefined : decodeCursor(settings.cursor, orderingColumns(columns, orderings));
  if (settings.cursor !== undefined && !cursor) fault('cursor', 'is not a cursor that this list gave');

  const named = settings.ordering ?? cursor?.ordering ?? defaultOrdering;
  const ordering = parseOrdering(named, orderings);
  if (!ordering) {
    const nearest = didYouMean(named, orderings);
    fault('ordering', `must be one of ${orderings.join(', ')}, with - before it for descending${nearest}`);
  }
  if (ordering && cursor && cursor.ordering !== named) fault('cursor', `belongs to ordering=${cursor.ordering}`);

  const limit = settings.limit === undefined ? defaultLimit : Number(settings.limit);
  if (!/^\d+$/.test(settings.limit ?? '1') || limit < 1 || limit > maxLimit) {
    fault('limit', `must be an integer from 1 to ${maxLimit}`);
  }
  if (settings.count !== count) fault('count', `must be ${counts.join(' or ')}`);
  if (settings.include !== include) fault('include', `must be ${includes.join(' or ')}`);
  return {
    ordering: ordering ?? { column: 'id', descending: false },
    limit,
    cursor,
    count,
    include,
  };
}

function orderingColumns(columns: readonly ListColumn[], names: readonly string[]): ReadonlyMap<string, ListColumn> {
  return new Map(columns.filter(({ name }) => names.includes(name)).map((column) => [column.name, column]));
}

/** The component of a page of a resource: Django REST Framework's envelope. */
export function pageOf(resource: TSchema, $id: string, description: string) {
  return Type.Object(
    {
      count: Type.Unsafe<number | null>({
        type: 'integer',
        nullable: true,
        description: 'How many rows match: only when `count=exact` or `count=estimated` asks for it.',
      }),
      next: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the next page, or null on the last.',
      }),
      previous: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the page before, or null on the first.',
      }),
      results: Type.Array(Type.Ref(`${(resource as { $id?: string }).$id}#`), {
        description: 'The rows of this page, in the order asked for.',
      }),
    },
    { $id, description },
  );
}
