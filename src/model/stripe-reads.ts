import { didYouMean } from './did-you-mean.js';
import { textFault } from './json.js';
import { queryEntries } from './query-names.js';
import { StripeError } from './stripe-errors.js';
import { lastEpochSecond } from './timestamp.js';

/**
 * Parses the queries of Stripe's own reads, as Stripe's SDKs write them: `expand[]=…`, `expand[0]=…`, `created[gte]=…`
 * (https://docs.stripe.com/api/checkout/sessions/list). A parameter that the mirror does not support is an error, because
 * the caller would not notice that the service ignored it.
 */

/** The sessions that a request may see. */
export interface StripeView {
  /** The mode of a Stripe key. Undefined for another key, which sees both modes. */
  readonly livemode: boolean | undefined;
  /** The account in the header `Stripe-Account`. */
  readonly account: string | undefined;
}

/** The position at which a page begins: directly after or before the object with an id. */
export interface StripeCursor {
  readonly param: 'starting_after' | 'ending_before';
  readonly id: string;
}

export interface StripePaging {
  /** The maximum number of objects on a page, 1 to 100. */
  readonly limit: number;
  readonly cursor: StripeCursor | undefined;
}

/** The bounds of `created`, in epoch seconds. */
export type CreatedBounds = Readonly<Partial<Record<'exact' | 'gt' | 'gte' | 'lt' | 'lte', number>>>;

const filterNames = [
  ...(['customer', 'customer_account', 'customer_details[email]', 'payment_intent', 'payment_link'] as const),
  ...(['status', 'subscription'] as const),
] as const;

export type StripeFilterName = (typeof filterNames)[number];

export interface StripeListQuery extends StripePaging {
  readonly filters: Readonly<Partial<Record<StripeFilterName, string>>>;
  readonly created: CreatedBounds;
  readonly withLineItems: boolean;
}

/**
 * Returns whether a raw session, or its JSON, has all its line items. An imported object may have only the first ten, or
 * null. Null is complete in setup mode, which has no line items.
 */
export function hasLineItems(session: string | object): boolean {
  const { mode, line_items } = (typeof session === 'string' ? JSON.parse(session) : session) as {
    mode?: unknown;
    line_items?: { data?: unknown; has_more?: unknown } | null;
  };
  if (line_items === null) return mode === 'setup';
  return Array.isArray(line_items?.data) && line_items.has_more !== true;
}

const createdNames = ['created', ...['gt', 'gte', 'lt', 'lte'].map((bound) => `created[${bound}]`)];
const pagingNames = ['limit', 'starting_after', 'ending_before'];
const listNames = [...pagingNames, ...filterNames, ...createdNames];

const expandName = /^expand\[\d*\]$/;

/** Parses the query of a single session. @throws {@link StripeError} 400 */
export function parseStripeRetrieve(query: unknown): { withLineItems: boolean } {
  const { withLineItems } = readParameters(query, [], 'line_items');
  return { withLineItems };
}

/** Parses the query of a list of line items. @throws {@link StripeError} 400 */
export function parseStripeLineItems(query: unknown): StripePaging {
  return parsePaging(readParameters(query, pagingNames).settings);
}

/** Parses the query of a list of sessions. @throws {@link StripeError} 400 */
export function parseStripeList(query: unknown): StripeListQuery {
  const { settings, withLineItems } = readParameters(query, listNames, 'data.line_items');
  const filters = Object.fromEntries(
    filterNames.flatMap((name) => (settings.has(name) ? [[name, settings.get(name)]] : [])),
  );
  const created = Object.fromEntries(
    createdNames.flatMap((name) => {
      const text = settings.get(name);
      const bound = /\[(.*)\]/.exec(name)?.[1] ?? 'exact';
      return text === undefined ? [] : [[bound, parseInteger(name, text, 0, lastEpochSecond)]];
    }),
  );
  const { status } = filters;
  if (status !== undefined && !['open', 'complete', 'expired'].includes(status)) {
    throw invalid('status', 'Invalid status: must be one of open, complete, or expired');
  }
  return { ...parsePaging(settings), filters, created, withLineItems };
}

/**
 * Reads the parameters of a query.
 *
 * @param names the parameters that the operation has, except `expand`.
 * @param expandable the path that `expand` may contain; undefined if the operation expands nothing.
 * @throws {@link StripeError} 400 for an unknown or repeated parameter.
 */
function readParameters(query: unknown, names: readonly string[], expandable?: string) {
  const settings = new Map<string, string>();
  let withLineItems = false;
  for (const [name, value] of queryEntries(query)) {
    const texts = typeof value === 'string' ? [value] : value;
    const badText = [name, ...texts].map(textFault).find(Boolean);
    if (badText) throw invalid(expandName.test(name) ? 'expand' : 'query', `The query ${badText}`);
    if (expandName.test(name) || name === 'expand') {
      for (const path of texts) withLineItems = checkExpand(path, expandable);
    } else if (!names.includes(name)) {
      throw unknownParameter(name, names);
    } else if (texts.length !== 1) {
      throw invalid(name, `Invalid ${name}: it is given more than once`);
    } else {
      settings.set(name, texts[0] as string);
    }
  }
  return { settings, withLineItems };
}

/** Returns true if a path is the one that can be expanded. @throws {@link StripeError} 400 for any other path. */
function checkExpand(path: string, expandable: string | undefined): true {
  if (path === expandable) return true;
  const limitation = expandable ? `it expands ${expandable} only` : 'it expands nothing here';
  throw invalid(
    'expand',
    `This property cannot be expanded (${path}): this is a read mirror, and ${limitation}. Ask Stripe for other expansions.`,
  );
}

/** @throws {@link StripeError} 400 for a `limit` outside 1 to 100, or for both cursors at once. */
function parsePaging(settings: ReadonlyMap<string, string>): StripePaging {
  const limit = settings.get('limit');
  const after = settings.get('starting_after');
  const before = settings.get('ending_before');
  if (after !== undefined && before !== undefined) {
    throw invalid('starting_after', 'You can only paginate in one direction: starting_after or ending_before');
  }
  const cursor = (param: StripeCursor['param'], id: string | undefined) =>
    id === undefined ? undefined : { param, id };
  return {
    limit: limit === undefined ? 10 : parseInteger('limit', limit, 1, 100),
    cursor: cursor('starting_after', after) ?? cursor('ending_before', before),
  };
}

/** @throws {@link StripeError} 400 if the text is not an integer from `min` to `max`. */
function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^-?\d{1,15}$/.test(text) && value >= min && value <= max) return value;
  const message = `Invalid integer: ${name} must be an integer from ${min} to ${max}`;
  throw new StripeError(400, message, { code: 'parameter_invalid_integer', param: name });
}

function invalid(param: string, message: string): StripeError {
  return new StripeError(400, message, { param });
}

function unknownParameter(name: string, names: readonly string[]): StripeError {
  const isEmail = name === 'email' && names.includes('customer_details[email]');
  const hint = isEmail ? '; did you mean customer_details[email]?' : didYouMean(name, names);
  const message = `Received unknown parameter: ${name}${hint}`;
  return new StripeError(400, message, { code: 'parameter_unknown', param: name });
}
