import Stripe from 'stripe';
import type { Config } from '../config.js';

export type Mode = 'live' | 'test';

/** The official SDK with the key of one mode. This service only reads from Stripe. */
export interface StripeClient {
  readonly mode: Mode;
  /** Whether the key is an organization's. Such a key has no account of its own: each call names one. */
  readonly isOrganization: boolean;
  readonly stripe: Stripe;
}

type ClientConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE'>;

/** Returns a client for each configured key whose mode STRIPE_LIVEMODE accepts. The clients do not retry. */
export function stripeClients(config: ClientConfig): StripeClient[] {
  return config.STRIPE_API_KEYS.map((key) => ({
    mode: modeOfKey(key),
    isOrganization: key.startsWith('sk_org_'),
    stripe: new Stripe(key, {
      ...addressOf(config.STRIPE_API_BASE),
      httpClient: stripeHttpClient(),
      maxNetworkRetries: 0,
      telemetry: false,
    }),
  })).filter(({ mode }) => config.STRIPE_LIVEMODE === 'both' || config.STRIPE_LIVEMODE === mode);
}

/** Returns the mode of a key: `sk_live_…`, `rk_live_…` and `sk_org_live_…` are live. */
export function modeOfKey(key: string): Mode {
  return /^[a-z_]+_live_/.test(key) ? 'live' : 'test';
}

/** Returns the mode that a session's id names, or undefined when it names none. */
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
 * Returns the SDK's HTTP client, extended to detect a response that is not Stripe's, such as a proxy's error page. The SDK
 * recognises an error by its body, never by its status: it returns a JSON page with status 404 as if it were the object,
 * and its error for an HTML page has no status (stripe-node 23.1, `RequestSender._jsonResponseHandler`).
 */
function stripeHttpClient(): NonNullable<Stripe.StripeConfig['httpClient']> {
  const client = Stripe.createNodeHttpClient();
  const makeRequest = client.makeRequest.bind(client);
  client.makeRequest = async (...request) => {
    const response = await makeRequest(...request);
    const toJSON = response.toJSON.bind(response);
    response.toJSON = () => stripeBody(toJSON(), response.getStatusCode());
    return response;
  };
  return client;
}

/**
 * Returns the body of a response when it is Stripe's. For any other failed response it returns an error in Stripe's form,
 * from which the SDK chooses the error class by the status.
 *
 * @throws SyntaxError for a successful response that is not Stripe's, as the SDK does for a body that is not JSON.
 */
async function stripeBody(json: Promise<unknown>, status: number): Promise<object> {
  const isSuccess = status >= 200 && status < 300;
  const body = await json.catch((error: unknown) => {
    if (isSuccess || !(error instanceof SyntaxError)) throw error;
  });
  const { object, error } = (body ?? {}) as { object?: unknown; error?: unknown };
  if (isSuccess ? typeof object === 'string' : error !== null && typeof error === 'object') return body as object;
  const message = `The response is not from Stripe (HTTP ${status}). Check STRIPE_API_BASE and the proxies between it and this service`;
  if (isSuccess) throw new SyntaxError(message);
  return { error: { type: 'api_error', message } };
}

/** Returns the last whole epoch second before now. It orders a snapshot that is requested next among a session's states. */
export function secondBeforeNow(): number {
  return Math.floor(Date.now() / 1000) - 1;
}
