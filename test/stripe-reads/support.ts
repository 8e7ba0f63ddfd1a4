import Stripe from 'stripe';
import { expect } from 'vitest';
import { startService } from '../support/service.js';
import { deliver, type RawSession, rawEvent, webhookSecret } from '../support/stripe.js';

type Options = NonNullable<Parameters<typeof startService>[0]>;

/** A key an operator gives to a back end. It belongs to no mode. */
export const fullKey = 'full-key-of-the-stripe-reads';
export const readKey = 'read-key-of-the-stripe-reads';

/** Starts a service together with Stripe's SDK pointed at it. */
export async function startMirror({ environment = {}, ...options }: Options = {}) {
  const service = await startService({
    environment: { API_KEYS: fullKey, API_READ_KEYS: readKey, STRIPE_WEBHOOK_SECRETS: webhookSecret, ...environment },
    ...options,
  });
  const { hostname, port } = new URL(service.url);
  return {
    ...service,
    /** Returns the SDK as a back end configures it, with another host. */
    sdk: (key = fullKey, config: Stripe.StripeConfig = {}) =>
      new Stripe(key, {
        host: hostname,
        port: Number(port),
        protocol: 'http',
        maxNetworkRetries: 0,
        telemetry: false,
        ...config,
      }),
    /** Delivers an event with a state of a session. */
    async put(session: RawSession, event: Parameters<typeof rawEvent>[1] = {}) {
      const { status, body } = await deliver(service.api, rawEvent(session, event));
      expect([status, body.outcome]).toEqual([200, 'applied']);
    },
  };
}

/** Returns the error a call of the SDK throws. */
export async function thrownBy(call: Promise<unknown>): Promise<InstanceType<typeof Stripe.errors.StripeError>> {
  const error = await call.then(
    (value) => expect.fail(`answered with ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(Stripe.errors.StripeError);
  return error;
}
