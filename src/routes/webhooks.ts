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
  /** Called for each delivery with the type of a session's event, or `other`, and the outcome. */
  onDelivery: (type: string, outcome: IngestResult['outcome'] | 'refused' | 'failed') => void;
}

/**
 * Receives deliveries from Stripe, in a scope of its own: signatures replace API keys, and they cover the raw body. Stripe
 * repeats a delivery until it gets a 2xx, so the service acknowledges nothing before the commit.
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
          'Register this URL in Stripe for `checkout.session.*` events, as snapshot or thin events. Deliveries may arrive in any order and any number of times. For a thin event the service fetches the session from Stripe before it answers. Stripe repeats a delivery after a 502 or 503. Any other signed body is answered with 200 and `ignored`.',
        tags: ['stripe'],
        security: [],
        headers: Type.Object({
          'Stripe-Signature': Type.String({ description: "Stripe's signature of the raw body." }),
        }),
        body: Type.Ref('StripeEventRequest#'),
        response: {
          200: json('The outcome of the delivery.', Type.Ref('StripeDelivery#')),
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
      return ingestAndCount(verified(request));
    },
  );

  /**
   * Returns the delivery in a request.
   *
   * @throws Problem `invalid-signature`.
   */
  function verified({ body, headers }: FastifyRequest): Delivery {
    const payload = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const header = headers['stripe-signature']?.toString();
    const text = payload.toString();
    // The SDK treats an empty string as a missing body.
    const signed = text === '' ? payload : text;
    const refused = signatureFault(signed, header, config.STRIPE_WEBHOOK_SECRETS, config.STRIPE_WEBHOOK_TOLERANCE);
    if (refused === undefined) return readDelivery(text);
    onDelivery('other', 'refused');
    throw new Problem('invalid-signature', { detail: isGzip(payload) ? gzipDetail : refused });
  }

  async function ingestAndCount(delivery: Delivery): Promise<IngestResult> {
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
  'The body is compressed with gzip, but Stripe signs the uncompressed body: pass it on as Stripe sent it.';

/** Returns whether a body is compressed with gzip. JSON never begins with these bytes. */
function isGzip(body: Buffer): boolean {
  return body[0] === 0x1f && body[1] === 0x8b;
}
