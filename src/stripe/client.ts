import Stripe from 'stripe';
import type { Config } from '../config.js';

export type Mode = 'live' | 'test';

/** The official SDK with the key of one mode. Nothing here writes to Stripe. */
export interface StripeClient {
  readonly mode: Mode;
  /** Whether the key is an organization's, which reads no account but the one that each call names. */
  readonly isOrganization: boolean;
  readonly stripe: Stripe;
}

type ClientConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE'>;

/** A client for each configured key whose mode is taken in. It repeats nothing by itself. */
export function stripeClients(config: ClientConfig): StripeClient[] {
  return config.STRIPE_API_KEYS.map((key) => ({
    mode: /^[a-z_]+_live_/.test(key) ? ('live' as const) : ('test' as const),
    isOrganization: key.startsWith('sk_org_'),
    stripe: new Stripe(key, {
      ...addressOf(config.STRIPE_API_BASE),
      httpClient: stripeHttpClient(),
      maxNetworkRetries: 0,
      telemetry: false,
    }),
  })).filter(({ mode }) => config.STRIPE_LIVEMODE === 'both' || config.STRIPE_LIVEMODE === mode);
}

/** Which mode a session is of, from its id; undefined when it does not say. */
export function modeOf(id: string): Mode | undefined {
  return /^cs_(live|test)_/.exec(id)?.[1] as Mode | undefined;
}

function addressOf(base: string | undefined): Stripe.StripeConfig {
  if (base === undefined) return {};
  const { protocol, hostname, port } = new URL(base);
  return {
    protocol: protocol === 'http:' ? 'http' : 'https',
    host: hostname,
    ...(port && { port: Number(port) }),
  };
}

/**
 * Returns the SDK's own HTTP client, which also recognises answers that are not Stripe's, such as a proxy's error page. The
 * SDK takes an error by its body, never by its status: it returns a JSON page with 404 as if it were the object, and the
 * error that it makes of an HTML page has no status (stripe-node 23.1, `RequestSender._jsonResponseHandler`).
 */
function stripeHttpClient(): NonNullable<Stripe.StripeConfig['httpClient']> {
  const client = Stripe.createNodeHttpClient();
  const makeRequest = client.makeRequest.bind(client);
  client.makeRequest = async (...request) => {
    const response = await makeRequest(...request);
    const toJSON = response.toJSON.bind(response);
    response.toJSON = () => stripesAnswer(toJSON(), response.getStatusCode());
    return response;
  };
  return client;
}

/**
 * Returns an answer of Stripe's as it is. In place of any other the SDK gets an error in Stripe's form, whose class it
 * chooses by the status. With a status of success the answer is unreadable, as one that is no JSON.
 */
async function stripesAnswer(answer: Promise<unknown>, status: number): Promise<object> {
  const isSuccess = status >= 200 && status < 300;
  const body = await answer.catch((error: unknown) => {
    if (isSuccess || !(error instanceof SyntaxError)) throw error;
  });
  const { object, error } = (body ?? {}) as { object?: unknown; error?: unknown };
  if (isSuccess ? typeof object === 'string' : error !== null && typeof error === 'object') return body as object;
  const message = `The answer is not Stripe's (HTTP ${status}): see STRIPE_API_BASE and what is between it and this service`;
  if (isSuccess) throw new SyntaxError(message);
  return { error: { type: 'api_error', message } };
}

/** The last whole second before now: what orders a snapshot that is asked for next. */
export function secondBeforeNow(): number {
  return Math.floor(Date.now() / 1000) - 1;
}
