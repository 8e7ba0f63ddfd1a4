import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { json, problems } from '../plugins/openapi/responses.js';
import type { IngestDelivery } from '../stripe/deliveries.js';
import { type Delivery, readDelivery } from '../stripe/delivery-body.js';
import { sessionEventTypes } from '../stripe/event-body.js';
import type { IngestResult } from '../stripe/ingest.js';
import { signatureFault } from '../stripe/signature.js';

export interface WebhookRoutesOptions {
  ingestDelivery: IngestDelivery;
  config: Pick<Config, 'STRIPE_WEBHOOK_SECRETS' | 'STRIPE_WEBHOOK_TOLERANCE'>;
  /** Told of each delivery: the type of its event, where it is one that carries a session, and what was done. */
  onDelivery: (type: string, outcome: IngestResult['outcome'] | 'refused' | 'failed') => void;
}

/**
 * Stripe's deliveries. A scope of its own: signatures take the place of API keys, and are over the raw body. Stripe
 * takes any 2xx for received and repeats everything else, so nothing is acknowledged before it is committed.
 */
export async function webhookRoutes(
  app: FastifyInstance,
  { ingestDelivery, config, onDelivery }: WebhookRoutesOptions,
) {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.post(
    '/webhooks/stripe',
    {
      schema: {
        operationId: 'stripe_webhook',
        summary: 'Receive an event from Stripe',
        description:
          'The endpoint to enter in Stripe for `checkout.session.*` events, with their object or thin. Deliveries may come in any order and any number of times. The session of a thin event is fetched from Stripe before the answer: 502 and 503 make Stripe repeat the delivery. A signed body that is no such event is answered with 200 and `ignored`.',
        tags: ['stripe'],
        security: [],
        headers: Type.Object({
          'Stripe-Signature': Type.String({ description: "Stripe's signature of the raw body." }),
        }),
        body: Type.Ref('StripeEventRequest#'),
        response: {
          200: json('What was done with the event.', Type.Ref('StripeDelivery#')),
          ...problems(
            ...(['malformed-request', 'invalid-signature', 'payload-too-large', 'request-timeout'] as const),
            ...(['internal', 'stripe-unavailable', 'stripe-not-configured'] as const),
            ...(['overloaded', 'database-unavailable', 'query-timeout'] as const),
          ),
        },
      },
    },
    async (request) => {
      if (config.STRIPE_WEBHOOK_SECRETS.length === 0) {
        throw new Problem('stripe-not-configured', { detail: 'Set STRIPE_WEBHOOK_SECRETS to receive events.' });
      }
      return counted(accept(request));
    },
  );

  function accept({ body, headers }: FastifyRequest): Delivery {
    const payload = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const header = headers['stripe-signature']?.toString();
    const text = payload.toString();
    // The SDK takes an empty text for none.
    const signed = text === '' ? payload : text;
    const refused = signatureFault(signed, header, config.STRIPE_WEBHOOK_SECRETS, config.STRIPE_WEBHOOK_TOLERANCE);
    if (refused === undefined) return readDelivery(text);
    onDelivery('other', 'refused');
    throw new Problem('invalid-signature', { detail: isGzip(payload) ? gzipDetail : refused });
  }

  async function counted(delivery: Delivery): Promise<IngestResult> {
    const type = sessionEventTypes.includes(delivery.type) ? delivery.type : 'other';
    try {
      const ingested = await ingestDelivery(delivery);
      onDelivery(type, ingested.outcome);
      return ingested;
    } catch (error) {
      onDelivery(type, 'failed');
      throw error;
    }
  }
}

const gzipDetail =
  'The body is compressed with gzip, and Stripe signs the body uncompressed: pass it on as Stripe sent it.';

/** Whether a body is compressed. JSON never begins with these bytes. */
function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}
