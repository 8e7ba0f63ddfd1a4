import type { FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isAccountId } from '../model/stripe.js';
import { StripeError } from '../model/stripe-errors.js';
import type { StripeView } from '../model/stripe-reads.js';
import { accessCheck, createKeyLookup, type KeyHolder, timesSent } from './access.js';

/** Access to Stripe's objects under `/v1`. As at Stripe, the key and `Stripe-Account` decide. */

/**
 * Returns the key of a request, from `Authorization: Bearer` or the user name of Basic, which curl's `-u key:` sends.
 *
 * @throws StripeError for two credentials.
 */
function credentialOf(request: FastifyRequest): string | undefined {
  if (timesSent(request, 'authorization') > 1) {
    throw new StripeError(400, 'There are two Authorization headers: send one key.');
  }
  const { authorization = '' } = request.headers;
  const [, scheme = '', credential = ''] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== 'basic') return credential || undefined;
  const [name, password] = Buffer.from(credential, 'base64').toString().split(/:(.*)/s);
  if (password) throw new StripeError(400, 'Send the key as the user name of Basic, with an empty password.');
  return name || undefined;
}

/** Returns the access check of Stripe's paths. The check throws the problem. On loopback the rules of the API apply. */
export function stripeAccessCheck(config: Config): (request: FastifyRequest) => void {
  const isKeyed = config.API_KEYS.length + config.API_READ_KEYS.length > 0;
  const checkLocal = config.ALLOW_ANONYMOUS || isKeyed ? undefined : accessCheck(config);
  const holderOf = createStripeKeyLookup(config);
  return (request) => {
    if (!isKeyed) {
      credentialOf(request);
      checkLocal?.(request);
      return;
    }
    const holder = holderOf(request);
    if (!holder) {
      throw new Problem('unauthorized', {
        detail:
          'Send a key of API_KEYS or STRIPE_API_KEYS as `Authorization: Bearer <key>`, or as the user name of Basic.',
        headers: { 'www-authenticate': 'Bearer' },
      });
    }
    if (!holder.hasFullAccess) {
      throw new Problem('forbidden', {
        detail:
          "This key has read access to sessions in the contract's shape. Stripe's objects hold customer data: use a key of API_KEYS.",
      });
    }
  };
}

/**
 * Returns a function that looks up the holder of a request's key. Keys of STRIPE_API_KEYS are valid too, so that a back
 * end that moves here changes the host and keeps its key.
 */
export function createStripeKeyLookup(config: Config): (request: FastifyRequest) => KeyHolder | undefined {
  const API_KEYS = [...config.API_KEYS, ...config.STRIPE_API_KEYS.map((key) => `stripe ${key}`)];
  return createKeyLookup({ ...config, API_KEYS }, credentialOf);
}

/**
 * Returns the part of the sessions that a request may see.
 *
 * @throws StripeError for an invalid `Stripe-Account`, and for `Stripe-Context`.
 */
export function stripeViewOf(request: FastifyRequest): StripeView {
  const { headers } = request;
  const mode = /^(?:sk|rk|sk_org)_(live|test)_/.exec(credentialOf(request) ?? '')?.[1];
  const account = headers['stripe-account'];
  if (account !== undefined && (typeof account !== 'string' || !isAccountId(account))) {
    throw new StripeError(400, "Stripe-Account must be one account's id, acct_…");
  }
  if (headers['stripe-context'] !== undefined) {
    throw new StripeError(400, 'Stripe-Context is not supported here. Name the account in Stripe-Account.');
  }
  return { livemode: mode === undefined ? undefined : mode === 'live', account };
}
