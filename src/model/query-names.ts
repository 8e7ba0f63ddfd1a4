import { didYouMean } from './did-you-mean.js';
import type { Filter } from './filters.js';

/** Reads the parameter names of a query string: other spellings of arrays, and hints about unknown names. */

type Query = Readonly<Record<string, string | readonly string[]>>;

/** Returns the entries of a query string as the HTTP layer parsed it. A value is one text, or a list of texts. */
export function queryEntries(query: unknown): [name: string, value: string | readonly string[]][] {
  return Object.entries(query as Query);
}

/** A parameter of a query string. */
export interface QueryParameter {
  /** The name in the query string. */
  readonly name: string;
  /** The name that the API documents: `customer__in` for `customer[]`. */
  readonly parameter: string;
  readonly texts: readonly string[];
}

const arrayName = /^(.+?)(?:__in)?\[\d*\]$/;

/**
 * Returns the parameters of a query string. `name[]` and `name[0]`, as PHP, axios and qs write arrays, mean `name__in`.
 * Commas separate the values of a `name__in` that occurs once. In an array, or if the parameter is repeated, each
 * occurrence is one value and may contain commas.
 */
export function queryParameters(query: unknown, filters: ReadonlyMap<string, Filter>): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  const arrays = new Map<string, { name: string; texts: string[] }>();
  for (const [name, value] of queryEntries(query)) {
    const list = `${arrayName.exec(name)?.[1]}__in`;
    if (filters.has(list)) {
      const array = arrays.get(list) ?? { name, texts: [] };
      array.texts.push(...[value].flat());
      arrays.set(list, array);
    } else {
      const isSeparated = typeof value === 'string' && filters.get(name)?.lookup === 'in';
      parameters.push({ name, parameter: name, texts: isSeparated ? value.split(',') : [value].flat() });
    }
  }
  for (const [parameter, array] of arrays) parameters.push({ parameter, ...array });
  return parameters;
}

/** Maps parameter names of Stripe's API and Django REST Framework to the names of this service. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['page_size', 'limit'],
  ['per_page', 'limit'],
  ['order_by', 'ordering'],
  ['sort', 'ordering'],
  ['customer_details[email]', 'email'],
]);

/** Advice for parameters of other APIs that this service does not have. */
const replacements: ReadonlyMap<string, string> = new Map([
  ...['page', 'offset', 'starting_after', 'ending_before'].map(
    (name) => [name, 'follow `next` and `previous`'] as const,
  ),
  ['search', 'filter by a property'],
  ['format', 'answers are JSON'],
]);

/** Returns whether a name is a misspelling of `metadata[key]`, such as `metadata.key`. */
function isNearMetadata(name: string): boolean {
  const [, word = ''] = /^(\w+)(?:[.[]|$)/.exec(name) ?? [];
  return didYouMean(word, ['metadata']) !== '';
}

/** Returns the end of a fault about an unknown parameter: `; did you mean …?`, other advice, or `''`. */
export function unknownParameterHint(name: string, names: readonly string[]): string {
  if (names.includes('metadata') && isNearMetadata(name)) return '; write metadata[key]=value';
  const replacement = replacements.get(name);
  if (replacement) return `; ${replacement}`;
  // Stripe writes created[gte]; others write customer_id.
  const spellings = [aliases.get(name), name.replace(/^(\w+)\[(\w+)\]$/, '$1__$2'), name.replace(/_id$/, '')];
  const known = spellings.find((spelling) => spelling !== undefined && names.includes(spelling));
  return known ? `; did you mean ${known}?` : didYouMean(name, names);
}
