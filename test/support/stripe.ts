import { readdirSync, readFileSync } from 'node:fs';
import Stripe from 'stripe';
import type supertest from 'supertest';

/** The secret of the webhook endpoint in tests. */
export const webhookSecret = 'whsec_test_secret';

const { webhooks } = new Stripe('sk_test_unused');

export type RawSession = Record<string, unknown> & { id: string };

export interface RawEvent {
  id: string;
  object: 'event';
  type: string;
  created: number;
  livemode: boolean;
  api_version: string | null;
  account?: string;
  data: { object: RawSession };
}

/** The header that Stripe would send with a payload. */
export function signatureOf(
  payload: string,
  secret = webhookSecret,
  timestamp = Math.floor(Date.now() / 1000),
): string {
  return webhooks.generateTestHeaderString({ payload, secret, timestamp });
}

/** Delivers any bytes, with a signature. */
export function deliverBytes(api: supertest.Agent, bytes: Buffer, signature: string): supertest.Test {
  return api
    .post('/webhooks/stripe')
    .set('stripe-signature', signature)
    .set('content-type', 'application/octet-stream')
    .send(bytes);
}

/** Delivers an event as Stripe does: signed, over its very bytes. */
export function deliver(api: supertest.Agent, event: unknown, secret?: string): supertest.Test {
  const payload = JSON.stringify(event);
  return api
    .post('/webhooks/stripe')
    .set('content-type', 'application/json; charset=utf-8')
    .set('stripe-signature', signatureOf(payload, secret))
    .send(payload);
}

/** A session as a current version of Stripe's API has it. */
export function rawSession(fields: Partial<RawSession> & { id: string }): RawSession {
  return {
    object: 'checkout.session',
    amount_subtotal: 2000,
    amount_total: 2198,
    billing_address_collection: null,
    cancel_url: null,
    client_reference_id: null,
    client_secret: 'cs_test_secret_of_the_browser',
    created: 1_769_860_800,
    currency: 'usd',
    customer: null,
    customer_email: null,
    expires_at: 1_769_947_200,
    livemode: false,
    locale: null,
    metadata: {},
    mode: 'payment',
    payment_intent: null,
    payment_method_types: ['card', 'link'],
    payment_status: 'unpaid',
    setup_intent: null,
    status: 'open',
    submit_type: null,
    subscription: null,
    success_url: 'https://example.com/success',
    url: 'https://checkout.stripe.com/c/pay/cs_test',
    ...fields,
  };
}

let eventNumber = 0;

/** An event that carries a session; its id sorts after those made before it. */
export function rawEvent(session: RawSession, fields: Partial<RawEvent> = {}): RawEvent {
  eventNumber += 1;
  return {
    id: `evt_${String(eventNumber).padStart(8, '0')}`,
    object: 'event',
    type: 'checkout.session.completed',
    created: 1_769_861_000,
    livemode: false,
    api_version: '2026-10-28.endive',
    data: { object: session },
    ...fields,
  };
}

/** The JSON files of our own fixtures and, where it is present, of the shared folder beside the repository. */
export function fixtures(kind: 'sessions' | 'events'): { name: string; object: Record<string, unknown> }[] {
  return ['../fixtures', '../../../shared/fixtures'].flatMap((folder) => {
    const directory = new URL(`${folder}/${kind}/`, import.meta.url);
    let names: string[];
    try {
      names = readdirSync(directory).filter((name) => name.endsWith('.json'));
    } catch {
      return [];
    }
    return names.map((name) => ({ name, object: JSON.parse(readFileSync(new URL(name, directory), 'utf8')) }));
  });
}
