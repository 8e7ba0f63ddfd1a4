import { type TSchema, Type } from 'typebox';
import { didYouMean } from './did-you-mean.js';
import { textFault } from './json.js';
import { queryEntries } from './query-names.js';
import { StripeError } from './stripe-errors.js';

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

/** Epoch seconds of 9999-12-31T23:59:59Z. */
const lastSecond = 253_402_300_799;

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
      return text === undefined ? [] : [[bound, parseInteger(name, text, 0, lastSecond)]];
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

const optionalText = (description: string, example: string) =>
  Type.Optional(Type.String({ description, examples: [example] }));
const epochSecond = (description: string) =>
  Type.Optional(Type.Integer({ format: 'int64', minimum: 0, maximum: lastSecond, description }));

const pagingParameters = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: 'The maximum number of objects on a page. The default is 10.',
    }),
  ),
  starting_after: optionalText('The id of an object. The page begins after it.', 'cs_test_1'),
  ending_before: optionalText('The id of an object. The page ends before it.', 'cs_test_1'),
};

const expandParameter = (path: string) => ({
  'expand[]': Type.Optional(
    Type.Array(Type.String({ enum: [path] }), {
      description: `\`${path}\` adds the line items. The service expands nothing else.`,
      style: 'form',
      explode: true,
    }),
  ),
});

/** The query parameters of each operation, as the OpenAPI document publishes them. */
export const stripeReadParameters = {
  retrieve: Type.Object(expandParameter('line_items')),
  lineItems: Type.Object(pagingParameters),
  list: Type.Object({
    ...pagingParameters,
    customer: optionalText('Returns only sessions of this Customer.', 'cus_NffrFeUfNV2Hib'),
    customer_account: optionalText(
      'Returns only sessions of this Account, which is the buyer.',
      'acct_1032D82eZvKYlo2C',
    ),
    'customer_details[email]': optionalText(
      'Returns only sessions with this e-mail address in `customer_details`.',
      'buyer@example.com',
    ),
    payment_intent: optionalText('Returns only the session of this PaymentIntent.', 'pi_3MtwBwLkdIwHu7ix28a3tqPa'),
    payment_link: optionalText('Returns only sessions of this Payment Link.', 'plink_1MoC3ULkdIwHu7ixZjtGpVl2'),
    status: Type.Optional(
      Type.String({ enum: ['open', 'complete', 'expired'], description: 'Returns only sessions with this status.' }),
    ),
    subscription: optionalText('Returns only the session of this Subscription.', 'sub_1MowQVLkdIwHu7ixeRlqHVzs'),
    created: epochSecond('Returns only sessions that were created at this time, in epoch seconds.'),
    'created[gt]': epochSecond('Returns only sessions that were created after this time, in epoch seconds.'),
    'created[gte]': epochSecond('Returns only sessions that were created at or after this time, in epoch seconds.'),
    'created[lt]': epochSecond('Returns only sessions that were created before this time, in epoch seconds.'),
    'created[lte]': epochSecond('Returns only sessions that were created at or before this time, in epoch seconds.'),
    ...expandParameter('data.line_items'),
  }),
};

/** Returns the component of a list in the shape of Stripe's API. */
function listComponent($id: string, description: string, data: TSchema) {
  return Type.Object(
    {
      object: Type.String({ enum: ['list'], description: 'The type of the object, always `list`.' }),
      url: Type.String({ description: 'The path of the list. The SDKs use it to request the next page.' }),
      has_more: Type.Boolean({ description: 'Whether more objects follow in the direction of the page.' }),
      data: Type.Array(data, { description: 'The objects of this page.' }),
    },
    { $id, description },
  );
}

/**
 * Returns the schema of a Stripe object. It is no component: with a list of such a component the Rust client of
 * openapi-generator 5.4 does not compile.
 */
const stripeObject = (description: string) => Type.Unsafe<Record<string, unknown>>({ type: 'object', description });

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const stripeReadComponents = [
  listComponent(
    'StripeCheckoutSessionList',
    "A page of Checkout Sessions in the shape of Stripe's API.",
    stripeObject(
      "A Checkout Session in the shape of Stripe's API (https://docs.stripe.com/api/checkout/sessions/object).",
    ),
  ),
  listComponent(
    'StripeLineItemList',
    "A page of line items in the shape of Stripe's API.",
    stripeObject(
      "A line item in the shape of Stripe's API (https://docs.stripe.com/api/checkout/sessions/line_items).",
    ),
  ),
];
