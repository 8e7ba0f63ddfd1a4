import pino from 'pino';
import { parseConfig } from '../../src/config.js';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { type StripeClient, stripeClients } from '../../src/stripe/client.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { startService } from '../support/service.js';
import { webhookSecret } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';

/** Starts a fake Stripe and a service, and creates the client and ingest that backfill and catch-up run with. */
export async function startStripeMirror() {
  const stripe = await startStripeApi();
  const { api, database } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
  const config = parseConfig(stripe.environment);
  const [client] = stripeClients(config) as [StripeClient];
  const ingest = createIngest(mirrorStore(database), config, pino({ level: 'silent' }));
  return { stripe, api, database, config, client, ingest };
}
