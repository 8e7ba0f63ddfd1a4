import { setTimeout } from 'node:timers/promises';
import Stripe from 'stripe';
import { OperatorError } from '../errors.js';
import { accountOfPath } from '../model/stripe.js';
import type { StripeClient } from './client.js';

/** Calls of Stripe's API: retries, backoff, accounts and complete line items. */

/** Largest page that Stripe returns for a list. */
export const pageSize = 100;

/** Retries of a call that a customer or a webhook delivery waits for. */
export const interactiveRetries = 1;
/** Timeout of such a call, in milliseconds. */
export const interactiveTimeout = 10_000;
/** Retries of a call in the background, which nobody waits for. Their backoff adds up to 48 to 96 seconds. */
export const backgroundRetries = 8;

/** The key, account and retries of calls to Stripe. */
export interface CallContext {
  readonly client: StripeClient;
  /** The connected account, or the path to it. Undefined means the key's own account. */
  readonly account?: string | undefined;
  /** Maximum retries of a call that failed or was throttled. */
  readonly retries: number;
  /** Aborts the run: a wait or a call ends at once, a write in progress finishes. */
  readonly signal?: AbortSignal;
  /** Called before each retry, with the failure and the milliseconds until the next call. */
  readonly onRetry?: (error: Error, pause: number) => void;
}

/** Milliseconds before the first retry; doubled before each further one. */
const baseDelay = 500;
/** Milliseconds. */
const maxDelay = 32_000;

/**
 * Calls Stripe, and retries with exponential backoff when Stripe throttles, fails or cannot be reached. The SDK's own
 * retries skip 429 and ignore `Retry-After` (stripe-node 23.1, `RequestSender._shouldRetry`).
 *
 * @throws the last error, when it is not transient or the retries are used up; the signal's reason when it is aborted.
 */
export async function callWithRetries<Answer>(
  { retries, signal, onRetry }: Pick<CallContext, 'retries' | 'signal' | 'onRetry'>,
  call: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 0; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await rejectOnAbort(call(), signal);
    } catch (error) {
      if (attempt >= retries || !isTransient(error)) throw error;
      const pause = delayAfter(error, attempt);
      onRetry?.(error, pause);
      await setTimeout(pause, undefined, signal ? { signal } : {});
    }
  }
}

function isTransient(error: unknown): error is InstanceType<typeof Stripe.errors.StripeError> {
  if (error instanceof Stripe.errors.StripeConnectionError || error instanceof Stripe.errors.StripeRateLimitError) {
    return true;
  }
  // No status: a successful response whose body was not JSON, or not Stripe's.
  return error instanceof Stripe.errors.StripeAPIError && (error.statusCode ?? 500) >= 500;
}

/** Returns the milliseconds to wait: the backoff with jitter, or `Retry-After` when that is longer. */
function delayAfter({ headers }: { headers?: Record<string, string> }, attempt: number): number {
  const backoff = Math.min(baseDelay * 2 ** attempt, maxDelay) * (1 - Math.random() / 2);
  const seconds = Number(headers?.['retry-after']);
  return Math.max(backoff, 1000 * (seconds || 0));
}

/** Waits for a promise, but rejects as soon as the signal is aborted. */
export function rejectOnAbort<Value>(promise: Promise<Value>, signal?: AbortSignal): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Returns the SDK's options of a call. They turn off the SDK's retries, because {@link callWithRetries} retries. */
export function requestOptions({ client, account }: CallContext): Stripe.RequestOptions {
  const connected = accountOfPath(account);
  return {
    maxNetworkRetries: 0,
    ...(client.isOrganization
      ? account !== undefined && { stripeContext: account }
      : connected !== undefined && { stripeAccount: connected }),
  };
}

/** Explains why a call with an organization's key needs an account. */
export const accountNeededMessage = "The Stripe key is an organization's, so each call must name an account";

/**
 * Returns the account that a run reads. Undefined means the key's own account.
 *
 * @param requested the account that the caller names.
 * @param configured STRIPE_ACCOUNT_ID: the default with an organization's key.
 * @throws OperatorError for an organization's key without an account.
 */
export function accountToRead(client: StripeClient, requested?: string, configured?: string): string | undefined {
  if (!client.isOrganization) return requested;
  const account = requested ?? configured;
  if (account !== undefined) return account;
  throw new OperatorError(`${accountNeededMessage}: name one with --account, or set STRIPE_ACCOUNT_ID.`);
}

/**
 * Returns the account to send in the header of a call about an owner's sessions. Undefined means the key's own account. An
 * organization's key has none, so it cannot make such a call.
 *
 * @param configured STRIPE_ACCOUNT_ID: the default with an organization's key, and the own account of another key.
 */
export function accountToSend(client: StripeClient, owner?: string, configured?: string): string | undefined {
  if (client.isOrganization) return owner ?? configured;
  return owner === configured ? undefined : owner;
}

/** Returns a session as JSON with all its line items. Stripe's expansion holds ten, so it fetches the rest page by page. */
export async function withAllLineItems(context: CallContext, session: Stripe.Checkout.Session): Promise<unknown> {
  const items = session.line_items;
  if (!items?.has_more) return asJson(session);
  const data = [...items.data];
  for (let more = true; more; ) {
    const after = data.at(-1)?.id;
    const page = await callWithRetries(context, () =>
      context.client.stripe.checkout.sessions.listLineItems(
        session.id,
        { limit: pageSize, ...(after !== undefined && { starting_after: after }) },
        requestOptions(context),
      ),
    );
    data.push(...page.data);
    more = page.has_more && page.data.length > 0;
  }
  return asJson({ ...session, line_items: { ...items, data, has_more: false } });
}

/** Converts back to plain JSON: the SDK turns decimal strings such as `unit_amount_decimal` into objects. */
function asJson(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
