import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { SessionId } from '../model/session.js';
import { StripeError } from '../model/stripe-errors.js';
import { stripeReadParameters } from '../model/stripe-read-schemas.js';
import {
  parseStripeLineItems,
  parseStripeList,
  parseStripeRetrieve,
  type StripePaging,
  type StripeView,
} from '../model/stripe-reads.js';
import { json, reference } from '../plugins/openapi/responses.js';
import { stripeViewOf } from '../plugins/stripe-access.js';
import { stripeErrors } from '../plugins/stripe-errors.js';
import type { ReadThrough } from '../stripe/read-through.js';
import { sendResults } from './answers.js';

/** Stripe's path: the SDKs page by the `url` of a list. */
const path = '/checkout/sessions';
const listUrl = `/v1${path}`;

const tags = ['stripe-reads'];
const params = Type.Object({ id: SessionId });
const sourceHeader = {
  'Mirror-Source': Type.String({
    description:
      '`stored`: from the mirror. `stripe`: fetched from Stripe for this request. `stale`: from the mirror, because Stripe did not answer.',
  }),
  'Stripe-Version': Type.String({ description: 'The API version of the object, if it is known.' }),
};
const scope =
  "For Stripe's SDKs: change their host to this service. A key that begins with `sk_test_` or `rk_test_` sees test sessions, a live key sees live sessions, any other key sees both. `Stripe-Account` selects a connected account. The service never writes to Stripe.";

/** Serves reads in the shape of Stripe's API, for Stripe's SDKs. Register it under `/v1`. */
export async function stripeReadRoutes(instance: FastifyInstance, { readThrough }: { readThrough: ReadThrough }) {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  app.get(
    path,
    {
      config: { answersOtherMethods: true },
      schema: {
        operationId: 'stripe_checkout_sessions_list',
        summary: "List sessions as Stripe's API does",
        description: `Returns a page of the mirrored Checkout Sessions in Stripe's shape, newest first. ${scope}`,
        tags,
        querystring: stripeReadParameters.list,
        response: { 200: json('A page of sessions.', reference('StripeCheckoutSessionList')), ...stripeErrors() },
      },
    },
    async (request, reply) => {
      const query = parseStripeList(request.query);
      const page = await readThrough.list(stripeViewOf(request), query);
      return sendResults(reply, listHead(listUrl, page.hasMore), page);
    },
  );

  app.get(
    `${path}/:id`,
    {
      config: { answersOtherMethods: true },
      schema: {
        operationId: 'stripe_checkout_sessions_retrieve',
        summary: "Retrieve a session as Stripe's API does",
        description: `Returns one Checkout Session in Stripe's shape. STRIPE_READ_THROUGH decides whether the service first fetches an unknown or unfinished session from Stripe. ${scope}`,
        tags,
        params,
        querystring: stripeReadParameters.retrieve,
        response: { 200: json('The session.', reference('StripeCheckoutSession'), sourceHeader), ...stripeErrors() },
      },
    },
    async (request, reply) => {
      const { withLineItems } = parseStripeRetrieve(request.query);
      const session = await retrieved(request.params.id, stripeViewOf(request), withLineItems, reply);
      return reply.type('application/json').send(session);
    },
  );

  app.get(
    `${path}/:id/line_items`,
    {
      config: { answersOtherMethods: true },
      schema: {
        operationId: 'stripe_checkout_sessions_line_items',
        summary: "List the line items of a session as Stripe's API does",
        description: `Returns the line items of one Checkout Session in Stripe's order. ${scope}`,
        tags,
        params,
        querystring: stripeReadParameters.lineItems,
        response: {
          200: json('A page of line items.', reference('StripeLineItemList'), sourceHeader),
          ...stripeErrors(),
        },
      },
    },
    async (request, reply) => {
      const paging = parseStripeLineItems(request.query);
      const session: WithLineItems = JSON.parse(await retrieved(request.params.id, stripeViewOf(request), true, reply));
      const { items, hasMore } = pageOfItems(session.line_items?.data ?? [], paging);
      const results = items.map((item) => JSON.stringify(item)).join(',');
      const url = `${listUrl}/${session.id}/line_items`;
      return reply.type('application/json').send(`${listHead(url, hasMore)}${results}]}`);
    },
  );

  /** Returns the JSON of a session and sets the headers that name its source and API version. */
  async function retrieved(id: string, view: StripeView, withLineItems: boolean, reply: FastifyReply): Promise<string> {
    const { session, source } = await readThrough.retrieve(id, view, withLineItems);
    reply.header('mirror-source', source);
    if (session.api_version) reply.header('stripe-version', session.api_version);
    return session.document;
  }
}

interface LineItem {
  readonly id: string;
}

/** A session with its line items. */
interface WithLineItems {
  readonly id: string;
  readonly line_items: { readonly data: readonly LineItem[] } | null;
}

/**
 * Returns a page of line items: the first ones after the cursor, or the last ones before it.
 *
 * @throws StripeError for a cursor that is not an item of the session.
 */
function pageOfItems(all: readonly LineItem[], { limit, cursor }: StripePaging) {
  const place = cursor && all.findIndex(({ id }) => id === cursor.id);
  if (cursor && place === -1) {
    const message = `No such item: '${cursor.id}'`;
    throw new StripeError(400, message, { code: 'resource_missing', param: cursor.param });
  }
  const isBackward = cursor?.param === 'ending_before';
  const rest = isBackward ? all.slice(0, place) : all.slice((place ?? -1) + 1);
  const items = isBackward ? rest.slice(-limit) : rest.slice(0, limit);
  return { items, hasMore: rest.length > items.length };
}

/** Returns the JSON of a list before its data. */
function listHead(url: string, hasMore: boolean): string {
  return `{"object":"list","url":${JSON.stringify(url)},"has_more":${hasMore},"data":[`;
}
