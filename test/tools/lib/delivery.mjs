import Stripe from 'stripe';
import { webhookSecret } from './service.mjs';

const { webhooks } = new Stripe('sk_test_unused');

/**
 * Signs an event as Stripe does.
 *
 * @param {object} event @param {string} [secret]
 * @returns {{ payload: string, headers: Record<string, string> }} the body and the headers of its delivery
 */
export function signed(event, secret = webhookSecret) {
  const payload = JSON.stringify(event);
  const signature = webhooks.generateTestHeaderString({ payload, secret });
  return { payload, headers: { 'content-type': 'application/json', 'stripe-signature': signature } };
}

/**
 * Delivers an event to a service.
 *
 * @param {string} url of the service @param {object} event
 * @throws when the service does not acknowledge it
 */
export async function deliver(url, event) {
  const { payload, headers } = signed(event);
  const response = await fetch(`${url}/webhooks/stripe`, { method: 'POST', headers, body: payload });
  if (!response.ok) throw new Error(`a delivery is answered ${response.status}: ${await response.text()}`);
}

/**
 * Returns an event of a Checkout Session, in the shape of Stripe's API.
 *
 * @param {string} id @param {object} session @param {Record<string, unknown>} [fields]
 */
export function eventOf(id, session, fields = {}) {
  return {
    ...{ id, object: 'event', type: 'checkout.session.completed', created: Math.floor(Date.now() / 1000) },
    ...{ livemode: false, api_version: '2026-07-29', data: { object: session } },
    ...fields,
  };
}
