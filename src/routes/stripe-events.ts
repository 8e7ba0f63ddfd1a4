import type { FastifyInstance } from 'fastify';
import type { StripeEventStore } from '../database/events.js';
import { eventList } from '../model/event-list.js';
import { filterRules } from '../model/list-schemas.js';
import { json, problems, reference } from '../plugins/openapi/responses.js';
import { baseUrl, requestProblems, sendPage, serverProblems, validOrThrow } from './answers.js';

export interface StripeEventRoutesOptions {
  events: StripeEventStore;
  /** Base of URLs in responses. Defaults to that of the request. */
  publicUrl: string | undefined;
}

/** Serves the ledger of Stripe's events: which ones arrived, and their outcomes. */
export async function stripeEventRoutes(app: FastifyInstance, { events, publicUrl }: StripeEventRoutesOptions) {
  app.get(
    '/stripe-events',
    {
      schema: {
        operationId: 'stripe_events_list',
        summary: 'List Stripe events',
        description: `Returns the events of Checkout Sessions that Stripe delivered, with their outcomes, newest first. Pages work like those of the sessions.\n\n${filterRules}`,
        tags: ['stripe'],
        querystring: eventList.parameters,
        response: {
          200: json('A page of events.', reference('PaginatedStripeEventList')),
          ...problems(...requestProblems, 'invalid-request', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const page = await events.list(validOrThrow(eventList.parse(request.query)));
      return sendPage(reply, page, baseUrl(request, publicUrl));
    },
  );
}
