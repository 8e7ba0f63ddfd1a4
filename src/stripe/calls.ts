import { setTimeout } from 'node:timers/promises';
import Stripe from 'stripe';
import { OperatorError } from '../errors.js';
import { accountOfPath } from '../model/stripe.js';
import type { StripeClient } from './client.js';

/** What context from Stripe's API has in common: patience, pages, where a run left off. */

/** How many of a list Stripe gives at most in one page. */
export const pageSize = 100;

/** Whose side of Stripe is read, and with how much patience. */
export interface CallContext {
  readonly client: StripeClient;
  /** The connected account, or the path to it; the key's own when undefined. */
  readonly account?: string | undefined;
  /** How often a call that failed or was throttled is repeated. */
  readonly retries: number;
  /** Ends the run: waiting at once, work after the step that it is in. */
  readonly signal?: AbortSignal;
  /** Called before each repetition, with the failure and the milliseconds until the next call. */
  readonly onRetry?: (error: Error, pause: number) => void;
}

const baseDelay = 500;
const maxDelay = 32_000;

/**
 * Calls Stripe, and again with exponential backoff while it is throttled, fails or cannot be reached. The SDK's own
 * retries leave out 429 and never look at `Retry-After` (stripe-node 23.1, `RequestSender._shouldRetry`).
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
      if (attempt >= retries || !isPassing(error)) throw error;
      const pause = delayAfter(error, attempt);
      onRetry?.(error, pause);
      await setTimeout(pause, undefined, signal ? { signal } : {});
    }
  }
}

function isPassing(error: unknown): error is InstanceType<typeof Stripe.errors.StripeError> {
  if (error instanceof Stripe.errors.StripeConnectionError || error instanceof Stripe.errors.StripeRateLimitError) {
    return true;
  }
  // Without a status it was no JSON, or not Stripe's, with a status of success.
  return error instanceof Stripe.errors.StripeAPIError && (error.statusCode ?? 500) >= 500;
}

function delayAfter({ headers }: { headers?: Record<string, string> }, attempt: number): number {
  const backoff = Math.min(baseDelay * 2 ** attempt, maxDelay) * (1 - Math.random() / 2);
  const seconds = Number(headers?.['retry-after']);
  return Math.max(backoff, 1000 * (seconds || 0));
}

/** Waits for a promise, or rejects as soon as the signal is aborted. */
export function rejectOnAbort<Value>(promise: Promise<Value>, signal?: AbortSignal): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Returns the SDK's options of a call. {@link callWithRetries} repeats, so the SDK need not. */
export function requestOptions({ client, account }: CallContext): Stripe.RequestOptions {
  const connected = accountOfPath(account);
  return {
    maxNetworkRetries: 0,
    ...(client.isOrganization
      ? account !== undefined && { stripeContext: account }
      : connected !== undefined && { stripeAccount: connected }),
  };
}

/** The fault of an organization's key without an account. */
export const accountNeededMessage = "The Stripe key is an organization's, which reads no account of its own";

/**
 * Returns the account that a run with a key reads.
 *
 * @param given the account that was asked for.
 * @param own the configured account, which an organization's key reads where none is given.
 * @throws OperatorError for an organization's key without either.
 */
export function accountToRead({ isOrganization }: StripeClient, given?: string, own?: string): string | undefined {
  const account = given ?? (isOrganization ? own : undefined);
  if (account !== undefined || !isOrganization) return account;
  throw new OperatorError(`${accountNeededMessage}: name one with --account, or set STRIPE_ACCOUNT_ID.`);
}

/** A session as Stripe's JSON has it, with all its line items: the expansion ends after ten. */
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

/** The SDK makes objects of decimal strings such as `unit_amount_decimal`; as JSON they are strings again. */
function asJson(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
