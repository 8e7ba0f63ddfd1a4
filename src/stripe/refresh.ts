import Stripe from 'stripe';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isAccountId } from '../model/stripe.js';
import { modeOf, type StripeClient, secondBeforeNow, stripeClients } from './client.js';
import type { Ingest, Ingested } from './ingest.js';
import { callOptions, completeSession, patiently, type Reading } from './reading.js';

/** Fetches a session from Stripe now, of a connected account where one is given, and takes it in. */
export type Refresh = (id: string, account?: string) => Promise<Ingested>;

type RefreshConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE' | 'STRIPE_ACCOUNT_ID'>;

/** A customer waits for it: one repetition, and then the answer that Stripe is not there. */
const retries = 1;
/** Milliseconds. */
const timeout = 10_000;

/**
 * @param accountOf the account that is known to own a session.
 * @returns the refresh. Those of one id that overlap share one call. It throws `session-not-found` when Stripe has
 *   none, `stripe-unavailable`, `stripe-not-configured`; what is stored stands then.
 */
export function createRefresh(
  ingest: Ingest,
  config: RefreshConfig,
  accountOf: (id: string) => Promise<string | undefined>,
): Refresh {
  const clients = stripeClients(config);
  const underWay = new Map<string, Promise<Ingested>>();

  async function fetchNow(id: string, given: string | undefined): Promise<Ingested> {
    const client = clientFor(clients, id);
    const account = given ?? (await accountOf(id));
    // Whoever wrote the session may have named an owner that is no account, which no header could carry.
    const isConnected = account !== undefined && isAccountId(account) && account !== config.STRIPE_ACCOUNT_ID;
    const second = secondBeforeNow();
    const object = await retrieve({ client, account: isConnected ? account : undefined, retries }, id);
    return ingest.snapshot({ object, account, apiVersion: client.stripe.getApiField('version'), second });
  }

  return (id, account) => {
    const key = `${id} ${account ?? ''}`;
    const shared = underWay.get(key) ?? fetchNow(id, account).finally(() => underWay.delete(key));
    underWay.set(key, shared);
    return shared;
  };
}

function clientFor(clients: readonly StripeClient[], id: string): StripeClient {
  const mode = modeOf(id);
  const client = clients.find((one) => mode === undefined || one.mode === mode);
  if (client) return client;
  const which = mode ? `a ${mode} key in STRIPE_API_KEYS` : 'STRIPE_API_KEYS';
  throw new Problem('stripe-not-configured', { detail: `Set ${which} to fetch this session from Stripe.` });
}

async function retrieve(reading: Reading, id: string): Promise<unknown> {
  const options = { ...callOptions(reading), timeout };
  try {
    const retrieved = await patiently(reading, () =>
      reading.client.stripe.checkout.sessions.retrieve(id, { expand: ['line_items'] }, options),
    );
    return await completeSession(reading, retrieved);
  } catch (error) {
    if (error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode === 404) {
      throw new Problem('session-not-found', { detail: 'Stripe has no such Checkout Session.' });
    }
    throw new Problem('stripe-unavailable', { cause: error });
  }
}
