import type Stripe from 'stripe';
import { Problem } from '../errors.js';
import type { StripeView } from '../model/stripe-reads.js';
import { type CallContext, callWithRetries, requestOptions, withAllLineItems } from './calls.js';
import { type StripeClient, secondBeforeNow, stripeClients } from './client.js';
import { type FetchConfig, retries, timeout } from './fetch.js';
import type { Ingest } from './ingest.js';

type Wanted = Pick<Stripe.Checkout.SessionListParams, 'payment_intent' | 'subscription'>;

/**
 * Asks Stripe for the sessions of a payment or a subscription, of the modes that a reader sees, and takes them in.
 *
 * @throws Problem `stripe-unavailable`. What the keys of other modes found is taken in nevertheless.
 */
export type FindAtStripe = (wanted: Wanted, view: StripeView) => Promise<void>;

export function createFindAtStripe(ingest: Ingest, config: FetchConfig): FindAtStripe {
  const clients = stripeClients(config);

  async function takeIn(client: StripeClient, wanted: Wanted, account: string | undefined): Promise<void> {
    const connected = account === config.STRIPE_ACCOUNT_ID ? undefined : account;
    const named = client.isOrganization ? (account ?? config.STRIPE_ACCOUNT_ID) : connected;
    // Without an account an organization's key reads nothing.
    if (client.isOrganization && named === undefined) return;
    const second = secondBeforeNow();
    const apiVersion = client.stripe.getApiField('version');
    const objects = await sessionsOf({ client, account: named, retries }, wanted);
    await ingest.snapshots(objects.map((object) => ({ object, account, apiVersion, second })));
  }

  return async (wanted, { livemode, account }) => {
    const asked = clients.filter(({ mode }) => livemode === undefined || livemode === (mode === 'live'));
    const results = await Promise.allSettled(asked.map((client) => takeIn(client, wanted, account)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
}

/** Fetches the sessions, with all their line items. */
async function sessionsOf(context: CallContext, wanted: Wanted): Promise<unknown[]> {
  const query = { ...wanted, expand: ['data.line_items'] };
  const options = { ...requestOptions(context), timeout };
  try {
    const { data } = await callWithRetries(context, () => context.client.stripe.checkout.sessions.list(query, options));
    return await Promise.all(data.map((session) => withAllLineItems(context, session)));
  } catch (error) {
    throw new Problem('stripe-unavailable', { cause: error });
  }
}
