import Stripe from 'stripe';
import { expect } from 'vitest';
import { startService } from '../support/service.js';
import { deliver, type RawSession, rawEvent, webhookSecret } from '../support/stripe.js';

type Options = NonNullable<Parameters<typeof startService>[0]>;

/** A key as an operator would give it to a back end: of no mode. */
export const fullKey = 'full-key-of-the-stripe-reads';
export const readKey = 'read-key-of-the-stripe-reads';

/** A service that Stripe's SDK talks to, and what brings sessions into it. */
export async function startMirror({ environment = {}, ...options }: Options = {}) {
  const service = await startService({
    environment: { API_KEYS: fullKey, API_READ_KEYS: readKey, STRIPE_WEBHOOK_SECRETS: webhookSecret, ...environment },
    ...options,
  });
  const { hostname, port } = new URL(service.url);
  return {
    ...service,
    /** The SDK as a back end has it, with another host. */
    sdk: (key = fullKey, config: Stripe.StripeConfig = {}) =>
      new Stripe(key, {
        host: hostname,
        port: Number(port),
        protocol: 'http',
        maxNetworkRetries: 0,
        telemetry: false,
        ...config,
      }),
    /** Delivers a state of a session. */
    async put(session: RawSession, event: Parameters<typeof rawEvent>[1] = {}) {
      const { status, body } = await deliver(service.api, rawEvent(session, event));
      expect([status, body.outcome]).toEqual([200, 'applied']);
    },
  };
}

/** The error that a call of the SDK throws. */
export async function thrownBy(call: Promise<unknown>): Promise<InstanceType<typeof Stripe.errors.StripeError>> {
  const error = await call.then(
    (value) => expect.fail(`answered with ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(Stripe.errors.StripeError);
  return error;
}
