import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { SessionStore } from '../database/sessions/store.js';
import { Problem } from '../errors.js';
import { SessionId } from '../model/session.js';
import type { Parsed } from '../model/session-request.js';
import { accountPathPattern, isAccountPath } from '../model/stripe.js';
import { json, problems, reference } from '../plugins/openapi/responses.js';
import type { Refresh } from '../stripe/refresh.js';
import {
  etagHeader,
  paymentTagHeader,
  requestProblems,
  sendSession,
  serverProblems,
  sessionsPath,
  validOrThrow,
} from './answers.js';

export interface SessionStripeRoutesOptions {
  sessions: SessionStore;
  refresh: Refresh;
}

const tags = ['checkout-sessions'];
const params = Type.Object({ id: SessionId });
const account = Type.Optional(
  Type.String({
    pattern: accountPathPattern,
    description:
      'The connected account of the session, `acct_…`, when the service does not know it yet. With the key of an organization it may be a path, `acct_…/acct_…`.',
  }),
);

/** Serves Stripe's data beyond the contract: the payment, the raw object, and a refresh. */
export async function sessionStripeRoutes(instance: FastifyInstance, options: SessionStripeRoutesOptions) {
  const { sessions, refresh } = options;
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();

  app.get(
    `${sessionsPath}/:id/payment`,
    {
      schema: {
        operationId: 'checkout_sessions_payment',
        summary: 'Retrieve the payment of a session',
        description:
          "Returns the payment of a session from Stripe's newest state, and the last event that arrived for it. The event shows whether a delayed payment failed.",
        tags,
        params,
        response: {
          200: json('The payment of the session.', reference('CheckoutSessionPayment'), paymentTagHeader),
          ...problems(
            ...requestProblems,
            'invalid-request',
            'session-not-found',
            'stripe-data-not-found',
            ...serverProblems,
          ),
        },
      },
    },
    async (request, reply) => sendSession(reply, fromStripe(await sessions.payment(request.params.id))),
  );

  app.get(
    `${sessionsPath}/:id/stripe-data`,
    {
      config: { needsFullAccess: true },
      schema: {
        operationId: 'checkout_sessions_stripe_data',
        summary: 'Retrieve the raw Stripe object',
        description:
          "Returns Stripe's newest state of a session, complete and unchanged except for `client_secret`, which is removed. It holds customer data, so it needs a key with full access.",
        tags,
        params,
        response: {
          200: json('The Checkout Session object as Stripe sent it.', reference('StripeCheckoutSession'), etagHeader),
          ...problems(
            ...requestProblems,
            'invalid-request',
            'session-not-found',
            'stripe-data-not-found',
            ...serverProblems,
          ),
        },
      },
    },
    async (request, reply) => sendSession(reply, fromStripe(await sessions.stripeData(request.params.id))),
  );

  app.post(
    `${sessionsPath}/:id/refresh`,
    {
      schema: {
        operationId: 'checkout_sessions_refresh',
        summary: 'Fetch a session from Stripe now',
        description:
          'Fetches the session from Stripe, stores it unless a newer state is stored, and returns it. Use it on the page that customers return to: the webhook may not have arrived yet.',
        tags,
        params,
        querystring: Type.Object({ account }),
        response: {
          200: json('The session as stored now.', reference('DjStripeCheckoutSession'), etagHeader),
          ...problems(...requestProblems, 'invalid-request', 'session-not-found'),
          ...problems('stripe-unavailable', 'stripe-not-configured', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { outcome } = await refresh(id, validOrThrow(parseAccount(request.query.account)));
      const stored = await sessions.find(id);
      if (stored) return sendSession(reply, stored);
      const detail = 'The session was deleted here and stays deleted.';
      throw new Problem('session-not-found', outcome === 'deleted' ? { detail } : {});
    },
  );
}

/**
 * Returns the stored data from Stripe.
 *
 * @throws Problem `session-not-found` or `stripe-data-not-found`.
 */
function fromStripe(stored: { document: string | null; etag: string } | undefined) {
  if (!stored) throw new Problem('session-not-found');
  const { document, etag } = stored;
  if (document === null) throw new Problem('stripe-data-not-found');
  return { document, etag };
}

/** Parses the parameter `account`. */
function parseAccount(given: unknown): Parsed<string | undefined> {
  if (given === undefined || (typeof given === 'string' && isAccountPath(given))) return { value: given };
  const detail = "must be a Stripe account's id, acct_…, or the path to it, acct_…/acct_…";
  return { faults: [{ in: 'query', pointer: '/account', detail }] };
}
