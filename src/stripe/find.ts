import type Stripe from 'stripe';
import { Problem } from '../errors.js';
import type { StripeView } from '../model/stripe-reads.js';
import { secondBeforeNow, stripeClients } from './client.js';
import type { FetchConfig } from './fetch.js';
import type { Ingest } from './ingest.js';
import { callOptions, completeSession, patiently } from './reading.js';

type Wanted = Pick<Stripe.Checkout.SessionListParams, 'payment_intent' | 'subscription'>;

/**
 * Asks Stripe for the sessions of a payment or a subscription, of the modes that a reader sees, and takes them in.
 *
 * @returns whether there are any. It throws `stripe-unavailable`.
 */
export type FindAtStripe = (wanted: Wanted, view: StripeView) => Promise<boolean>;

/** A client waits: a call that fails is repeated once. */
const retries = 1;
/** Milliseconds. */
const timeout = 10_000;

export function createFindAtStripe(ingest: Ingest, config: FetchConfig): FindAtStripe {
  const clients = stripeClients(config);
  return async (wanted, { livemode, account }) => {
    const connected = account === config.STRIPE_ACCOUNT_ID ? undefined : account;
    const asked = clients.filter(({ mode }) => livemode === undefined || livemode === (mode === 'live'));
    let found = 0;
    for (const client of asked) {
      const named = client.isOrganization ? (account ?? config.STRIPE_ACCOUNT_ID) : connected;
      // Without an account an organization's key reads nothing.
      if (client.isOrganization && named === undefined) continue;
      const reading = { client, account: named, retries };
      const second = secondBeforeNow();
      try {
        const { data } = await patiently(reading, () =>
          client.stripe.checkout.sessions.list(
            { ...wanted, expand: ['data.line_items'] },
            { ...callOptions(reading), timeout },
          ),
        );
        const objects = await Promise.all(data.map((session) => completeSession(reading, session)));
        const apiVersion = client.stripe.getApiField('version');
        const taken = await ingest.snapshots(objects.map((object) => ({ object, account, apiVersion, second })));
        found += taken.length;
      } catch (error) {
        throw new Problem('stripe-unavailable', { cause: error });
      }
    }
    return found > 0;
  };
}
