import Stripe from 'stripe';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isAccountPath } from '../model/stripe.js';
import { accountNeededMessage, type CallContext, callWithRetries, requestOptions, withAllLineItems } from './calls.js';
import { modeOf, type StripeClient, secondBeforeNow, stripeClients } from './client.js';
import type { Snapshot } from './ingest.js';

interface FetchOptions {
  /** The account that has the session, or the path to it, where it is known. */
  readonly account?: string | undefined;
  /** The epoch second of the change that the snapshot must show. A call that began before it is not shared. */
  readonly since?: number;
}

/**
 * Fetches a session from Stripe now, with all its line items. Calls of one id that overlap are shared.
 *
 * @throws Problem `session-not-found` when Stripe has none, `stripe-unavailable`, `stripe-not-configured`.
 */
export type Fetch = (id: string, options?: FetchOptions) => Promise<Snapshot>;

export type FetchConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE' | 'STRIPE_ACCOUNT_ID'>;

/** Repetitions of a call that a customer or a delivery waits for. After them the answer is that Stripe is not there. */
export const retries = 1;
/** Milliseconds that such a call may take. */
export const timeout = 10_000;

interface Call {
  /** The whole second before the call began. */
  readonly second: number;
  readonly object: Promise<unknown>;
}

/**
 * Creates the fetch.
 *
 * @param accountOf returns the account that is known to own a session.
 */
export function createFetch(config: FetchConfig, accountOf: (id: string) => Promise<string | undefined>): Fetch {
  const clients = stripeClients(config);
  const inFlight = new Map<string, Call>();

  /** Returns the account that a call names: the owner may be no account, which no header could carry. */
  function accountFor(client: StripeClient, owner: string | undefined): string | undefined {
    const account = owner !== undefined && isAccountPath(owner) ? owner : undefined;
    if (!client.isOrganization) return account === config.STRIPE_ACCOUNT_ID ? undefined : account;
    const named = account ?? config.STRIPE_ACCOUNT_ID;
    if (named !== undefined) return named;
    const detail = `${accountNeededMessage}: name one in the parameter account, or set STRIPE_ACCOUNT_ID.`;
    throw new Problem('stripe-not-configured', { detail });
  }

  function call(context: CallContext, id: string, since: number): Call {
    const key = `${id} ${context.account ?? ''}`;
    const shared = inFlight.get(key);
    if (shared && shared.second >= since) return shared;
    const begun: Call = { second: secondBeforeNow(), object: retrieve(context, id) };
    inFlight.set(key, begun);
    const end = () => void (inFlight.get(key) === begun && inFlight.delete(key));
    begun.object.then(end, end);
    return begun;
  }

  return async (id, { account, since = 0 } = {}) => {
    const client = clientFor(clients, id);
    const owner = account ?? (await accountOf(id));
    const { second, object } = call({ client, account: accountFor(client, owner), retries }, id, since);
    return { object: await object, account: owner, apiVersion: client.stripe.getApiField('version'), second };
  };
}

function clientFor(clients: readonly StripeClient[], id: string): StripeClient {
  const mode = modeOf(id);
  const client = clients.find((one) => mode === undefined || one.mode === mode);
  if (client) return client;
  const which = mode ? `a ${mode} key in STRIPE_API_KEYS` : 'STRIPE_API_KEYS';
  throw new Problem('stripe-not-configured', { detail: `Set ${which} to fetch this session from Stripe.` });
}

async function retrieve(context: CallContext, id: string): Promise<unknown> {
  const options = { ...requestOptions(context), timeout };
  try {
    const session = await callWithRetries(context, () =>
      context.client.stripe.checkout.sessions.retrieve(id, { expand: ['line_items'] }, options),
    );
    if (session.id !== id || session.object !== 'checkout.session') {
      throw new Error(`Stripe answered with another object than the session ${id}`);
    }
    return await withAllLineItems(context, session);
  } catch (error) {
    // A 404 without this code is of the path: something else than Stripe's API answers there.
    if (error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'resource_missing') {
      throw new Problem('session-not-found', { detail: 'Stripe has no such Checkout Session.' });
    }
    throw new Problem('stripe-unavailable', { cause: error });
  }
}
