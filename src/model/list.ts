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

/** The query parameters of a list and their parser, derived from a {@link ListDefinition}. `src/database/list` has the SQL. */

export interface ListQuery<Include extends string = string> {
  readonly conditions: readonly Condition[];
  readonly ordering: Ordering;
  /** The maximum number of rows on a page, 1 to 1000. */
  readonly limit: number;
  readonly cursor: Cursor | undefined;
  readonly count: (typeof counts)[number] | undefined;
  /** The property to add to each row. */
  readonly include: Include | undefined;
}

/** The filters and orderings of a list. `id` identifies a row and breaks ties. */
export interface ListDefinition<Include extends string = string> {
  readonly columns: readonly ListColumn[];
  /** The columns that can order the list. */
  readonly orderings: readonly string[];
  /** The name of a column, with `-` before it for descending. */
  readonly defaultOrdering: string;
  /** Whether the list has the filter `metadata[key]=value`. */
  readonly hasMetadata: boolean;
  /** The properties that `include` can add to each row. */
  readonly includes: readonly Include[];
}

const metadataParameter = /^metadata\[(.*)\]$/s;

const counts = ['exact', 'estimated'] as const;
const defaultLimit = 50;
const maxLimit = 1000;

/** The parameters that readers look for most. They come first in the OpenAPI document, and the other filters follow. */
export const firstParameters: readonly string[] = [
  ...['customer', 'email', 'status', 'payment_status', 'session_id', 'type', 'outcome', 'created__gte'],
  ...['limit', 'cursor', 'ordering', 'count', 'include', 'metadata'],
];

/** The text about filters in the description of a list. */
export const filterRules =
  'Filters are combined with AND. `name=value` compares a property with one value, and `name__in=a,b` with several. Texts also have `__startswith`, `__iexact` and `__icontains`. Times and numbers have `__gt`, `__gte`, `__lt` and `__lte`. Properties that can be null have `__isnull`.';

/** Returns the parameters of a list, as the OpenAPI document publishes them. */
function parametersOf(definition: ListDefinition, filters: ReadonlyMap<string, Filter>) {
  const { orderings, defaultOrdering, hasMetadata, includes } = definition;
  const parameters: Record<string, TSchema> = {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxLimit,
        description: `The maximum number of rows on a page. The default is ${defaultLimit}.`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        description:
          'The position at which the page begins, from the URL in `next` or `previous`. The value is opaque.',
      }),
    ),
    ordering: Type.Optional(
      Type.String({
        enum: orderings.flatMap((name) => [name, `-${name}`]),
        description: `The property that orders the list, with \`-\` before it for descending. The default is \`${defaultOrdering}\`. Ties are ordered by id. Nulls come last.`,
      }),
    ),
    count: Type.Optional(
      Type.String({
        enum: [...counts],
        description:
          'Fills `count` in the response. `exact` counts every matching row. `estimated` takes the estimate of the database planner, which is fast but imprecise.',
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
            'Matches rows where the metadata has this value under this key: `metadata[key]=value`. A number or a boolean is compared by its JSON text.',
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
      "Adds a property to each session. `payment` adds the session's `CheckoutSessionPayment`, or null if the service has no Stripe object for the session.",
  });
}

/** Derives the parameters of a list and their parser from what it filters and orders by. */
export function defineList<Include extends string>(definition: ListDefinition<Include>) {
  const filters = filtersOf(definition.columns);
  const parameters = parametersOf(definition, filters);
  const names = Object.keys(parameters.properties);
  const retrieveParameters = Type.Object({ include: Type.Optional(includeSchema(definition.includes)) });

  /** Parses a query string. Reports every fault; the fault of an unknown parameter suggests the nearest name. */
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

  /** Parses the query string of a single row, which has the list's parameter `include` only. Reports every fault. */
  function parseRetrieve(query: unknown): Parsed<{ include: Include | undefined }> {
    const entries = queryEntries(query);
    // Fast path: nearly all requests have no parameters.
    if (entries.length === 0) return { value: { include: undefined } };
    const parsed = parse(Object.fromEntries(entries.filter(([name]) => name === 'include')));
    const unknown = entries.flatMap(([name]): Fault[] => {
      if (name === 'include') return [];
      return [{ in: 'query', pointer: pointerTo('', name), detail: 'is not a parameter of this operation' }];
    });
    if (parsed.faults || unknown.length > 0) return { faults: [...(parsed.faults ?? []), ...unknown] };
    return { value: { include: parsed.value.include } };
  }

  return { parameters, retrieveParameters, parse, parseRetrieve };
}

/** Parses the parameters that are not filters. Adds what is wrong with them to `faults`. */
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
  if (settings.cursor !== undefined && !cursor) fault('cursor', 'is not a cursor of this list');

  const requested = settings.ordering ?? cursor?.ordering ?? defaultOrdering;
  const ordering = parseOrdering(requested, orderings);
  if (!ordering) {
    const nearest = didYouMean(requested, orderings);
    fault('ordering', `must be one of ${orderings.join(', ')}, with - before it for descending${nearest}`);
  }
  if (ordering && cursor && cursor.ordering !== requested) fault('cursor', `belongs to ordering=${cursor.ordering}`);

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

/** Returns the component of a page of a resource, in the envelope of Django REST Framework. */
export function pageOf(resource: TSchema, $id: string, description: string) {
  return Type.Object(
    {
      count: Type.Unsafe<number | null>({
        type: 'integer',
        nullable: true,
        description: 'The number of matching rows. Null unless the request has `count=exact` or `count=estimated`.',
      }),
      next: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the next page. Null on the last page.',
      }),
      previous: Type.Unsafe<string | null>({
        type: 'string',
        format: 'uri',
        nullable: true,
        description: 'The URL of the previous page. Null on the first page.',
      }),
      results: Type.Array(Type.Ref(`${(resource as { $id?: string }).$id}#`), {
        description: 'The rows of this page, in the requested order.',
      }),
    },
    { $id, description },
  );
}
