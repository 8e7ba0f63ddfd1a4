import { didYouMean } from './did-you-mean.js';
import type { Filter } from './filters.js';

/** The names in the query string of a list: other spellings of ours, and what those that are not ours may mean. */

type Query = Readonly<Record<string, string | readonly string[]>>;

/** Returns the names and values of a query string as the HTTP layer parsed it: a text for each, or a list of texts. */
export function queryEntries(query: unknown): [name: string, given: string | readonly string[]][] {
  return Object.entries(query as Query);
}

/** A parameter of a query string: as it was named, the parameter that it means, and its values. */
export interface QueryParameter {
  readonly name: string;
  readonly parameter: string;
  readonly texts: readonly string[];
}

const arrayName = /^(.+?)(?:__in)?\[\d*\]$/;

/**
 * Reads the names of a query string: `name[]` and `name[0]`, as PHP, axios and qs write arrays, mean `name__in`. Given
 * once, commas separate the values of `name__in`; as an array or repeated, each occurrence is one whole value.
 */
export function queryParameters(query: unknown, filters: ReadonlyMap<string, Filter>): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  const arrays = new Map<string, { name: string; texts: string[] }>();
  for (const [name, given] of queryEntries(query)) {
    const list = `${arrayName.exec(name)?.[1]}__in`;
    if (filters.has(list)) {
      const array = arrays.get(list) ?? { name, texts: [] };
      array.texts.push(...[given].flat());
      arrays.set(list, array);
    } else {
      const isSeparated = typeof given === 'string' && filters.get(name)?.lookup === 'in';
      parameters.push({ name, parameter: name, texts: isSeparated ? given.split(',') : [given].flat() });
    }
  }
  for (const [parameter, array] of arrays) parameters.push({ parameter, ...array });
  return parameters;
}

/** What Stripe's API and Django REST Framework call the parameters of a list. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['page_size', 'limit'],
  ['per_page', 'limit'],
  ['order_by', 'ordering'],
  ['sort', 'ordering'],
  ['customer_details[email]', 'email'],
]);

/** What takes the place of parameters that other APIs have. */
const replacements: ReadonlyMap<string, string> = new Map([
  ...['page', 'offset', 'starting_after', 'ending_before'].map(
    (name) => [name, 'follow `next` and `previous`'] as const,
  ),
  ['search', 'filter by a property'],
  ['format', 'answers are JSON'],
]);

/** Returns whether a name is a misspelling of `metadata[key]`, as is `metadata.key`. */
function isNearMetadata(name: string): boolean {
  const [, word = ''] = /^(\w+)(?:[.[]|$)/.exec(name) ?? [];
  return didYouMean(word, ['metadata']) !== '';
}

/** Ends the fault of an unknown parameter with what may have been meant. */
export function unknownParameterHint(name: string, names: readonly string[]): string {
  if (names.includes('metadata') && isNearMetadata(name)) return '; write metadata[key]=value';
  const replacement = replacements.get(name);
  if (replacement) return `; ${replacement}`;
  // Stripe's created[gte], and customer_id.
  const spellings = [aliases.get(name), name.replace(/^(\w+)\[(\w+)\]$/, '$1__$2'), name.replace(/_id$/, '')];
  const meant = spellings.find((spelling) => spelling !== undefined && names.includes(spelling));
  return meant ? `; did you mean ${meant}?` : didYouMean(name, names);
}
