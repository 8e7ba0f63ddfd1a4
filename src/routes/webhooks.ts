import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { json, problems } from '../plugins/openapi.js';
import { type EventBody, eventFault, type Ingest, type Ingested, sessionEventTypes } from '../stripe/ingest.js';
import { signatureFault } from '../stripe/signature.js';

export interface WebhookRoutesOptions {
  ingest: Ingest;
  config: Pick<Config, 'STRIPE_WEBHOOK_SECRETS' | 'STRIPE_WEBHOOK_TOLERANCE'>;
  /** Told of each delivery: the type of its event, where it is one that carries a session, and what was done. */
  onDelivery: (type: string, outcome: Ingested['outcome'] | 'refused' | 'failed') => void;
}

/**
 * Stripe's deliveries. A scope of its own: signatures take the place of API keys, and are over the raw body. Stripe
 * takes any 2xx for received and repeats everything else, so nothing is acknowledged before it is committed.
 */
export async function webhookRoutes(app: FastifyInstance, { ingest, config, onDelivery }: WebhookRoutesOptions) {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.post(
    '/webhooks/stripe',
    {
      schema: {
        operationId: 'stripe_webhook',
        summary: 'Receive an event from Stripe',
        description:
          'The endpoint to enter in Stripe for `checkout.session.*` events. Deliveries may come in any order and any number of times.',
        tags: ['stripe'],
        security: [],
        headers: Type.Object({
          'Stripe-Signature': Type.String({ description: "Stripe's signature of the raw body." }),
        }),
        body: Type.Ref('StripeEventRequest#'),
        response: {
          200: json('What was done with the event.', Type.Ref('StripeWebhookResult#')),
          ...problems(
            ...(['malformed-request', 'invalid-signature', 'payload-too-large', 'request-timeout'] as const),
            ...(['internal', 'overloaded', 'database-unavailable', 'query-timeout', 'stripe-not-configured'] as const),
          ),
        },
      },
    },
    async (request) => {
      if (config.STRIPE_WEBHOOK_SECRETS.length === 0) {
        throw new Problem('stripe-not-configured', { detail: 'Set STRIPE_WEBHOOK_SECRETS to receive events.' });
      }
      return take(accept(request));
    },
  );

  function accept({ body, headers }: FastifyRequest): EventBody {
    try {
      const payload = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
      const header = headers['stripe-signature']?.toString();
      const refused = signatureFault(payload, header, config.STRIPE_WEBHOOK_SECRETS, config.STRIPE_WEBHOOK_TOLERANCE);
      if (refused) throw new Problem('invalid-signature', { detail: refused });
      return parseEvent(payload);
    } catch (error) {
      onDelivery('other', 'refused');
      throw error;
    }
  }

  async function take(event: EventBody): Promise<Ingested> {
    const type = sessionEventTypes.includes(event.type) ? event.type : 'other';
    try {
      const ingested = await ingest.event(event);
      onDelivery(type, ingested.outcome);
      return ingested;
    } catch (error) {
      onDelivery(type, 'failed');
      throw error;
    }
  }
}

function parseEvent(payload: Buffer): EventBody {
  let body: unknown;
  try {
    body = JSON.parse(payload.toString());
  } catch (error) {
    throw new Problem('malformed-request', { detail: 'The body is not JSON.', cause: error });
  }
  const fault = eventFault(body);
  if (fault) throw new Problem('malformed-request', { detail: `The body is no event: ${fault}.` });
  return body as EventBody;
}
