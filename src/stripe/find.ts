import type Stripe from 'stripe';
import { Problem } from '../errors.js';
import type { StripeView } from '../model/stripe-reads.js';
import {
  accountToSend,
  type CallContext,
  callWithRetries,
  interactiveRetries,
  interactiveTimeout,
  requestOptions,
  withAllLineItems,
} from './calls.js';
import { type StripeClient, secondBeforeNow, stripeClients } from './client.js';
import type { FetchConfig } from './fetch.js';
import type { Ingest } from './ingest.js';

type SessionFilter = Pick<Stripe.Checkout.SessionListParams, 'payment_intent' | 'subscription'>;

/**
 * Fetches the sessions of a payment intent or a subscription from Stripe, in the modes that a reader sees, and ingests
 * them.
 *
 * @throws Problem `stripe-unavailable`. The sessions that the keys of other modes found are ingested all the same.
 */
export type FindAtStripe = (filter: SessionFilter, view: StripeView) => Promise<void>;

export function createFindAtStripe(ingest: Ingest, config: FetchConfig): FindAtStripe {
  const clients = stripeClients(config);

  async function ingestMatching(client: StripeClient, filter: SessionFilter, owner: string | undefined): Promise<void> {
    const account = accountToSend(client, owner, config.STRIPE_ACCOUNT_ID);
    if (client.isOrganization && account === undefined) return;
    const second = secondBeforeNow();
    const apiVersion = client.stripe.getApiField('version');
    const objects = await listMatching({ client, account, retries: interactiveRetries }, filter);
    await ingest.snapshots(objects.map((object) => ({ object, account: owner, apiVersion, second })));
  }

  return async (filter, { livemode, account }) => {
    const visible = clients.filter(({ mode }) => livemode === undefined || livemode === (mode === 'live'));
    const results = await Promise.allSettled(visible.map((client) => ingestMatching(client, filter, account)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
}

/** Lists the sessions that match a filter, with all their line items. */
async function listMatching(context: CallContext, filter: SessionFilter): Promise<unknown[]> {
  const query = { ...filter, expand: ['data.line_items'] };
  const options = { ...requestOptions(context), timeout: interactiveTimeout };
  try {
    const { data } = await callWithRetries(context, () => context.client.stripe.checkout.sessions.list(query, options));
    return await Promise.all(data.map((session) => withAllLineItems(context, session)));
  } catch (error) {
    throw new Problem('stripe-unavailable', { cause: error });
  }
}
