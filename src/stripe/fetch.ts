import Stripe from 'stripe';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isAccountPath } from '../model/stripe.js';
import {
  accountNeededMessage,
  accountToSend,
  type CallContext,
  callWithRetries,
  interactiveRetries,
  interactiveTimeout,
  requestOptions,
  withAllLineItems,
} from './calls.js';
import { modeOf, type StripeClient, secondBeforeNow, stripeClients } from './client.js';
import type { Snapshot } from './ingest.js';

interface FetchOptions {
  /** The account that owns the session, or the path to it, when the caller knows it. */
  readonly account?: string | undefined;
  /** Epoch second of the change that the snapshot must show. A call that began before it is not shared. */
  readonly since?: number;
}

/**
 * Fetches a session from Stripe now, with all its line items. Overlapping calls for one id share one request.
 *
 * @throws Problem `session-not-found` when Stripe has no such session, `stripe-unavailable`, `stripe-not-configured`.
 */
export type Fetch = (id: string, options?: FetchOptions) => Promise<Snapshot>;

export type FetchConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE' | 'STRIPE_ACCOUNT_ID'>;

interface Call {
  /** The last whole epoch second before the call began. */
  readonly second: number;
  readonly object: Promise<unknown>;
}

/**
 * Creates the fetch function.
 *
 * @param accountOf returns the stored owner of a session.
 */
export function createFetch(config: FetchConfig, accountOf: (id: string) => Promise<string | undefined>): Fetch {
  const clients = stripeClients(config);
  const inFlight = new Map<string, Call>();

  function accountFor(client: StripeClient, owner: string | undefined): string | undefined {
    // An owner written through the API may be any text, which a header cannot carry.
    const known = owner !== undefined && isAccountPath(owner) ? owner : undefined;
    const account = accountToSend(client, known, config.STRIPE_ACCOUNT_ID);
    if (account !== undefined || !client.isOrganization) return account;
    const detail = `${accountNeededMessage}: name one in the parameter account, or set STRIPE_ACCOUNT_ID.`;
    throw new Problem('stripe-not-configured', { detail });
  }

  /** Starts a call, or joins one in flight that began at `since` or later. */
  function startOrJoin(context: CallContext, id: string, since: number): Call {
    const key = `${id} ${context.account ?? ''}`;
    const running = inFlight.get(key);
    if (running && running.second >= since) return running;
    const call: Call = { second: secondBeforeNow(), object: retrieve(context, id) };
    inFlight.set(key, call);
    const end = () => void (inFlight.get(key) === call && inFlight.delete(key));
    call.object.then(end, end);
    return call;
  }

  return async (id, { account, since = 0 } = {}) => {
    const client = clientFor(clients, id);
    const owner = account ?? (await accountOf(id));
    const context = { client, account: accountFor(client, owner), retries: interactiveRetries };
    const { second, object } = startOrJoin(context, id, since);
    return { object: await object, account: owner, apiVersion: client.stripe.getApiField('version'), second };
  };
}

/** Returns the client of a session's mode. Throws `stripe-not-configured` when no key is of that mode. */
function clientFor(clients: readonly StripeClient[], id: string): StripeClient {
  const mode = modeOf(id);
  const client = clients.find((candidate) => mode === undefined || candidate.mode === mode);
  if (client) return client;
  const missing = mode ? `a ${mode} key in STRIPE_API_KEYS` : 'STRIPE_API_KEYS';
  throw new Problem('stripe-not-configured', { detail: `Set ${missing} to fetch this session from Stripe.` });
}

async function retrieve(context: CallContext, id: string): Promise<unknown> {
  const options = { ...requestOptions(context), timeout: interactiveTimeout };
  try {
    const session = await callWithRetries(context, () =>
      context.client.stripe.checkout.sessions.retrieve(id, { expand: ['line_items'] }, options),
    );
    if (session.id !== id || session.object !== 'checkout.session') {
      throw new Error(`Stripe returned another object instead of the session ${id}`);
    }
    return await withAllLineItems(context, session);
  } catch (error) {
    // A 404 without this code is about the path: the server is not Stripe's API.
    if (error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'resource_missing') {
      throw new Problem('session-not-found', { detail: 'Stripe has no such Checkout Session.' });
    }
    throw new Problem('stripe-unavailable', { cause: error });
  }
}
