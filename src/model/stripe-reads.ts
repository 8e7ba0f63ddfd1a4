import { type TSchema, Type } from 'typebox';
import { didYouMean } from './did-you-mean.js';
import { textFault } from './json.js';
import { queryEntries } from './query-names.js';
import { StripeError } from './stripe-errors.js';

/**
 * The queries of Stripe's own reads, as its SDKs spell them: `expand[]=…` and `expand[0]=…`, `created[gte]=…`
 * (https://docs.stripe.com/api/checkout/sessions/list). A parameter that the mirror does not serve is an error: an SDK
 * would not notice that it was ignored.
 */

/** Whose sessions a request may see. */
export interface StripeView {
  /** The mode of the key; undefined for a key that is not Stripe's, which sees both. */
  readonly livemode: boolean | undefined;
  /** The account of `Stripe-Account`. */
  readonly account: string | undefined;
}

/** Where a page begins: beside the object of an id. */
export interface StripeCursor {
  readonly param: 'starting_after' | 'ending_before';
  readonly id: string;
}

export interface StripePaging {
  /** Objects on a page, 1 to 100. */
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
 * Returns whether a raw object, or its JSON, has all its line items. An imported object may have the first ten, or null.
 * Sessions in setup mode have none.
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

/** Reads the query of a single session. */
export function parseStripeRetrieve(query: unknown): { withLineItems: boolean } {
  const { withLineItems } = readParameters(query, [], 'line_items');
  return { withLineItems };
}

/** Reads the query of a list of line items. */
export function parseStripeLineItems(query: unknown): StripePaging {
  return parsePaging(readParameters(query, pagingNames).settings);
}

/** Reads the query of a list of sessions. */
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

/** Sorts the parameters of a query: single texts by their name, and whether line items are asked for. */
function readParameters(query: unknown, names: readonly string[], expandable?: string) {
  const settings = new Map<string, string>();
  let withLineItems = false;
  for (const [name, given] of queryEntries(query)) {
    const texts = typeof given === 'string' ? [given] : given;
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

function checkExpand(path: string, expandable: string | undefined): true {
  if (path === expandable) return true;
  const served = expandable ? `it expands ${expandable} alone` : 'it expands nothing here';
  throw invalid(
    'expand',
    `This property cannot be expanded (${path}): this is a read mirror, and ${served}. Ask Stripe for other expansions.`,
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

function parseInteger(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^-?\d{1,15}$/.test(text) && value >= least && value <= most) return value;
  const message = `Invalid integer: ${name} must be an integer from ${least} to ${most}`;
  throw new StripeError(400, message, { code: 'parameter_invalid_integer', param: name });
}

function invalid(param: string, message: string): StripeError {
  return new StripeError(400, message, { param });
}

function unknownParameter(name: string, names: readonly string[]): StripeError {
  const isEmail = name === 'email' && names.includes('customer_details[email]');
  const meant = isEmail ? '; did you mean customer_details[email]?' : didYouMean(name, names);
  const message = `Received unknown parameter: ${name}${meant}`;
  return new StripeError(400, message, { code: 'parameter_unknown', param: name });
}

const optionalText = (description: string, example: string) =>
  Type.Optional(Type.String({ description, examples: [example] }));
const epochSecond = (description: string) =>
  Type.Optional(Type.Integer({ format: 'int64', minimum: 0, maximum: lastSecond, description }));

const pagingParameters = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, description: 'How many objects a page holds at most; 10 when absent.' }),
  ),
  starting_after: optionalText('The id of the object that the page comes after.', 'cs_test_1'),
  ending_before: optionalText('The id of the object that the page comes before.', 'cs_test_1'),
};

const expandParameter = (path: string) => ({
  'expand[]': Type.Optional(
    Type.Array(Type.String({ enum: [path] }), {
      description: `\`${path}\` adds the line items. Nothing else is expanded here.`,
      style: 'form',
      explode: true,
    }),
  ),
});

/** The query parameters of the operations, as the OpenAPI document publishes them. */
export const stripeReadParameters = {
  retrieve: Type.Object(expandParameter('line_items')),
  lineItems: Type.Object(pagingParameters),
  list: Type.Object({
    ...pagingParameters,
    customer: optionalText('Sessions of this Customer.', 'cus_NffrFeUfNV2Hib'),
    customer_account: optionalText('Sessions of this Account that buys.', 'acct_1032D82eZvKYlo2C'),
    'customer_details[email]': optionalText('Sessions in which this address was given.', 'buyer@example.com'),
    payment_intent: optionalText('The session of this PaymentIntent.', 'pi_3MtwBwLkdIwHu7ix28a3tqPa'),
    payment_link: optionalText('Sessions of this Payment Link.', 'plink_1MoC3ULkdIwHu7ixZjtGpVl2'),
    status: Type.Optional(
      Type.String({ enum: ['open', 'complete', 'expired'], description: 'Sessions that have this status.' }),
    ),
    subscription: optionalText('The session of this Subscription.', 'sub_1MowQVLkdIwHu7ixeRlqHVzs'),
    created: epochSecond('Sessions that were created in this epoch second.'),
    'created[gt]': epochSecond('Sessions that were created after this epoch second.'),
    'created[gte]': epochSecond('Sessions that were created in this epoch second or later.'),
    'created[lt]': epochSecond('Sessions that were created before this epoch second.'),
    'created[lte]': epochSecond('Sessions that were created in this epoch second or earlier.'),
    ...expandParameter('data.line_items'),
  }),
};

/** The component of a list as Stripe's API has it. */
function listComponent($id: string, description: string, data: TSchema) {
  return Type.Object(
    {
      object: Type.String({ enum: ['list'], description: 'Always `list`.' }),
      url: Type.String({ description: 'The path of the list, by which the SDKs ask for the next page.' }),
      has_more: Type.Boolean({ description: 'Whether there are more objects in the direction of the page.' }),
      data: Type.Array(data, { description: 'The objects of this page.' }),
    },
    { $id, description },
  );
}

/** An object of Stripe's. Not a component: of a list of those the Rust client of openapi-generator 5.4 does not compile. */
const stripeObject = (description: string) => Type.Unsafe<Record<string, unknown>>({ type: 'object', description });

/** What the OpenAPI document publishes of this file, by `$id`. */
export const stripeReadComponents = [
  listComponent(
    'StripeCheckoutSessionList',
    'A page of Checkout Sessions as Stripe has them.',
    stripeObject('A Checkout Session as Stripe has it (https://docs.stripe.com/api/checkout/sessions/object).'),
  ),
  listComponent(
    'StripeLineItemList',
    'A page of line items as Stripe has them.',
    stripeObject('A line item as Stripe has it (https://docs.stripe.com/api/checkout/sessions/line_items).'),
  ),
];
