import { Type } from 'typebox';
import type { Fault } from '../errors.js';
import { type Cursor, decodeCursor, type Ordering, parseOrdering } from './cursor.js';
import { didYouMean } from './did-you-mean.js';
import { type Condition, describeAllowed, filtersOf, type ListColumn, parseFilterValue } from './filters.js';
import { pointerTo, textFault } from './json.js';
import { counts, defaultLimit, includeSchema, maxLimit, parametersOf } from './list-schemas.js';
import { queryEntries, queryParameters, unknownParameterHint } from './query-names.js';
import type { Parsed } from './session-request.js';

/** Parses the queries of lists, by the definition of each list. `src/database/list` has the SQL. */

/** The parsed query of a list. */
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

/** Returns the query parameters of a list and their parsers, derived from the definition of the list. */
export function defineList<Include extends string>(definition: ListDefinition<Include>) {
  const filters = filtersOf(definition.columns);
  const parameters = parametersOf(definition, filters);
  // `metadata` is among them only to describe `metadata[key]`. A query with the bare name has a fault.
  const names = Object.keys(parameters.properties);
  const retrieveParameters = Type.Object({ include: Type.Optional(includeSchema(definition.includes)) });

  /** Parses a query string. Reports every fault; the fault of an unknown parameter suggests the nearest name. */
  function parse(query: unknown): Parsed<ListQuery<Include>> {
    const faults: Fault[] = [];
    const conditions: Condition[] = [];
    const settings: Record<string, string> = {};
    for (const { name, parameter, texts } of queryParameters(query, filters)) {
      const addFault = (detail: string) => faults.push({ in: 'query', pointer: pointerTo('', name), detail });
      const [text = ''] = texts;
      const badText = texts.map(textFault).find(Boolean) ?? textFault(name);
      const filter = filters.get(parameter);
      const key = definition.hasMetadata ? metadataParameter.exec(name)?.[1] : undefined;
      if (badText) addFault(badText);
      else if (texts.length !== 1 && filter?.lookup !== 'in') addFault('is given more than once');
      else if (filter) {
        const value = parseFilterValue(filter, texts);
        if (value === undefined) addFault(`must be ${describeAllowed(filter, texts)}`);
        else conditions.push({ column: filter.column.name, kind: filter.column.kind, lookup: filter.lookup, value });
      } else if (key !== undefined) {
        conditions.push({ column: 'metadata', kind: 'map', lookup: 'key', key, value: text });
      } else if (name !== 'metadata' && names.includes(name)) settings[name] = text;
      else addFault(`is not a filter or parameter of this list${unknownParameterHint(name, names)}`);
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

/** Parses the parameters that are not filters. Adds their faults to `faults`. */
function parseSettings<Include extends string>(
  settings: Record<string, string>,
  { columns, orderings, defaultOrdering, includes }: ListDefinition<Include>,
  faults: Fault[],
): Omit<ListQuery<Include>, 'conditions'> {
  const addFault = (name: string, detail: string) => faults.push({ in: 'query', pointer: `/${name}`, detail });
  const count = counts.find((name) => name === settings.count);
  const include = includes.find((name) => name === settings.include);
  const cursor =
    settings.cursor === undefined ? undefined : decodeCursor(settings.cursor, orderingColumns(columns, orderings));
  if (settings.cursor !== undefined && !cursor) addFault('cursor', 'is not a cursor of this list');

  const requested = settings.ordering ?? cursor?.ordering ?? defaultOrdering;
  const ordering = parseOrdering(requested, orderings);
  if (!ordering) {
    const nearest = didYouMean(requested, orderings);
    addFault('ordering', `must be one of ${orderings.join(', ')}, with - before it for descending${nearest}`);
  }
  if (ordering && cursor && cursor.ordering !== requested) addFault('cursor', `belongs to ordering=${cursor.ordering}`);

  const limit = settings.limit === undefined ? defaultLimit : Number(settings.limit);
  if (!/^\d+$/.test(settings.limit ?? '1') || limit < 1 || limit > maxLimit) {
    addFault('limit', `must be an integer from 1 to ${maxLimit}`);
  }
  if (settings.count !== count) addFault('count', `must be ${counts.join(' or ')}`);
  if (settings.include !== include) addFault('include', `must be ${includes.join(' or ')}`);
  return {
    // After a fault the caller drops the result, and this ordering only satisfies the type.
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
