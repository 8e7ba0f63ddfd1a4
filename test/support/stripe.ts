import { readdirSync, readFileSync } from 'node:fs';
import Stripe from 'stripe';
import type supertest from 'supertest';

/** The webhook secret of the tests. */
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

/** Returns the `Stripe-Signature` header for a payload. */
export function signatureOf(
  payload: string,
  secret = webhookSecret,
  timestamp = Math.floor(Date.now() / 1000),
): string {
  return webhooks.generateTestHeaderString({ payload, secret, timestamp });
}

/** Delivers raw bytes with a given signature. */
export function deliverBytes(api: supertest.Agent, bytes: Buffer, signature: string): supertest.Test {
  return api
    .post('/webhooks/stripe')
    .set('stripe-signature', signature)
    .set('content-type', 'application/octet-stream')
    .send(bytes);
}

/** Delivers a signed event as Stripe does. */
export function deliver(api: supertest.Agent, event: unknown, secret?: string): supertest.Test {
  const payload = JSON.stringify(event);
  return api
    .post('/webhooks/stripe')
    .set('content-type', 'application/json; charset=utf-8')
    .set('stripe-signature', signatureOf(payload, secret))
    .send(payload);
}

/** Builds a session in the shape of a current Stripe API version. */
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

/** Builds an event that carries a session. Its id sorts after those of earlier events. */
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

/** Returns the JSON files of test/fixtures and, if present, of the shared folder beside the repository. */
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
