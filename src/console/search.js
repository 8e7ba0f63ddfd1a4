/** Finds the filter of the API for a text in the search box. */

/** The filters of the search box, with their names on the page. @type {Readonly<Record<string, string>>} */
export const filterNames = {
  email: 'E-mail',
  customer: 'Customer',
  customer_account: 'Customer account',
  payment_intent: 'Payment',
  subscription: 'Subscription',
  invoice: 'Invoice',
  payment_link: 'Payment link',
  client_reference_id: 'Client reference',
};

/** The filter for each prefix of Stripe's ids. @type {Readonly<Record<string, string>>} */
const filterByPrefix = {
  cus: 'customer',
  pi: 'payment_intent',
  sub: 'subscription',
  in: 'invoice',
  plink: 'payment_link',
  acct: 'customer_account',
};

const email = /^[^\s@=<>[\]]+@[^\s@=<>]+$/;
const stripeId = /^(cs|evt|cus|pi|sub|in|plink|acct)_[A-Za-z0-9_]+$/;

/** @typedef {{ kind: 'session', value: string } | { kind: 'event', value: string } | { kind: 'filter', filter: string, value: string }} Search */

/** @param {string} key */
const metadataFilter = (key) => `metadata[${key}]`;

/** Returns the key of a metadata filter, or undefined for another filter. @param {string} filter */
export const metadataKeyOf = (filter) => /^metadata\[(.+)\]$/s.exec(filter)?.[1];

/**
 * Returns the search for a text, or undefined if the text is blank.
 *
 * @param {string} text
 * @returns {Search | undefined}
 */
export function parseSearch(text) {
  const plain = text.trim();
  const value = idInUrl(plain) ?? addressIn(plain) ?? plain;
  if (value === '') return undefined;
  const prefix = stripeId.exec(value)?.[1];
  if (prefix === 'cs') return { kind: 'session', value };
  if (prefix === 'evt') return { kind: 'event', value };
  if (prefix) return { kind: 'filter', filter: /** @type {string} */ (filterByPrefix[prefix]), value };
  if (email.test(value)) return { kind: 'filter', filter: 'email', value };
  return parsePair(value) ?? { kind: 'filter', filter: 'client_reference_id', value };
}

/**
 * Parses `key=value`, `metadata key=value` or `metadata[key]=value` as a metadata filter. If the key is the name of a filter,
 * as in `email=…`, the search uses that filter. Returns undefined for any other text, such as a key without a value.
 *
 * @param {string} text
 * @returns {Search | undefined}
 */
function parsePair(text) {
  const bracketed = /^metadata\[(.+?)\]\s*=\s*(.+)$/s.exec(text);
  const plain = /^(metadata[\s.:]+)?([^=]+?)\s*=\s*(.+)$/s.exec(text);
  if (bracketed) return { kind: 'filter', filter: metadataFilter(String(bracketed[1])), value: String(bracketed[2]) };
  if (!plain) return undefined;
  const [, isMetadata, name = '', value = ''] = plain;
  if (!isMetadata && Object.hasOwn(filterNames, name)) return { kind: 'filter', filter: name, value };
  return { kind: 'filter', filter: metadataFilter(name), value };
}

/** Returns the id in a URL of Stripe's dashboard or checkout, or undefined if there is none. @param {string} text */
function idInUrl(text) {
  if (!/^https:\/\/[\w.-]+\//.test(text)) return undefined;
  const ids = text
    .split(/[?#]/, 1)[0]
    ?.split('/')
    .filter((part) => stripeId.test(part));
  return ids?.at(-1);
}

/** Returns the address in `mailto:…` or in `Name <…>`, as mail programs copy it, or undefined. @param {string} text */
function addressIn(text) {
  const address = /^mailto:([^?]+)|<([^<>]+)>$/.exec(text)?.slice(1).find(Boolean);
  return address && email.test(address) ? address : undefined;
}

/** Describes the filter of a search in a few words. @param {Search} search */
export function describeSearch(search) {
  if (search.kind === 'session') return 'Opens the session with this id';
  if (search.kind === 'event') return 'Finds the event with this id';
  return `Finds sessions by ${describeFilter(search.filter)}`;
}

/** Returns the name of a filter for people, in lower case. @param {string} filter */
export function describeFilter(filter) {
  const key = metadataKeyOf(filter);
  return key === undefined ? (filterNames[filter] ?? filter).toLowerCase() : `metadata “${key}”`;
}

/** Returns the text that {@link parseSearch} reads as this filter and value. @param {string} filter @param {string} value */
export function searchTextOf(filter, value) {
  const key = metadataKeyOf(filter);
  if (key !== undefined) return `${key}=${value}`;
  const search = parseSearch(value);
  return search?.kind === 'filter' && search.filter === filter ? value : `${filter}=${value}`;
}

/** Returns whether a parameter of the address is a filter of the search box. @param {string} name */
export const isSearchFilter = (name) => Object.hasOwn(filterNames, name) || metadataKeyOf(name) !== undefined;

/** Returns the parameters that are filters of the search box. @param {Record<string, string>} params */
export const searchesIn = (params) =>
  Object.fromEntries(Object.entries(params).filter(([name]) => isSearchFilter(name)));
