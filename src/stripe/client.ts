import Stripe from 'stripe';
import type { Config } from '../config.js';

export type Mode = 'live' | 'test';

/** The official SDK with the key of one mode. Nothing here writes to Stripe. */
export interface StripeClient {
  readonly mode: Mode;
  readonly stripe: Stripe;
}

type ClientConfig = Pick<Config, 'STRIPE_API_KEYS' | 'STRIPE_API_BASE' | 'STRIPE_LIVEMODE'>;

/** A client for each configured key whose mode is taken in. It repeats nothing by itself. */
export function stripeClients(config: ClientConfig): StripeClient[] {
  return config.STRIPE_API_KEYS.map((key) => ({
    mode: key.slice(3).startsWith('live_') ? ('live' as const) : ('test' as const),
    stripe: new Stripe(key, { ...addressOf(config.STRIPE_API_BASE), maxNetworkRetries: 0, telemetry: false }),
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

/** The last whole second before now: what orders a snapshot that is asked for next. */
export function secondBeforeNow(): number {
  return Math.floor(Date.now() / 1000) - 1;
}
