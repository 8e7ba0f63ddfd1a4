import { type TSchema, Type } from 'typebox';
import { lastEpochSecond } from './timestamp.js';

/** The schemas of Stripe's own reads: their query parameters and their components. */

const optionalText = (description: string, example: string) =>
  Type.Optional(Type.String({ description, examples: [example] }));
const epochSecond = (description: string) =>
  Type.Optional(Type.Integer({ format: 'int64', minimum: 0, maximum: lastEpochSecond, description }));

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
