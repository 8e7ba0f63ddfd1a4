import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.js';
import type { RawPage, RawSession, StripeReadStore } from '../database/sessions/stripe-reads.js';
import { loggable, Problem } from '../errors.js';
import { asStripeError, missingSession, StripeError } from '../model/stripe-errors.js';
import { hasLineItems, type StripeListQuery, type StripeView } from '../model/stripe-reads.js';
import { modeOf } from './client.js';
import type { FindAtStripe } from './find.js';
import { createNegativeCache, type NegativeCache } from './negative-cache.js';
import type { Refresh } from './refresh.js';

/**
 * Reads of Stripe's objects that the mirror may not know yet: a new session emits no event, and the page that a customer
 * returns to may be faster than the webhook. STRIPE_READ_THROUGH says what is fetched from Stripe first.
 */

/** Where an answer comes from: the mirror, Stripe just now, or the mirror because Stripe did not answer. */
export type Source = 'stored' | 'stripe' | 'stale';

export interface ReadSession {
  readonly session: RawSession;
  readonly source: Source;
}

interface ReadThroughOptions {
  readonly config: Pick<Config, 'STRIPE_READ_THROUGH' | 'STRIPE_API_KEYS'>;
  readonly reads: StripeReadStore;
  readonly refresh: Refresh;
  readonly findAtStripe: FindAtStripe;
  readonly log: FastifyBaseLogger;
}

/** Sessions of one list that are fetched from Stripe at once. */
const fetchesAtOnce = 8;
/** Milliseconds. A snapshot is newer than an event once two seconds have passed since the event was created. */
const settling = 2000;

export type ReadThrough = ReturnType<typeof createReadThrough>;

export function createReadThrough({ config, reads, refresh, findAtStripe, log }: ReadThroughOptions) {
  const setting = config.STRIPE_READ_THROUGH ?? (config.STRIPE_API_KEYS.length > 0 ? 'open' : 'off');
  const absent: NegativeCache = createNegativeCache();

  /** Whether a stored session answers the request as it is. */
  function suffices(stored: RawSession, withLineItems: boolean): boolean {
    if (withLineItems && !hasLineItems(stored.document)) return false;
    return setting !== 'open' || stored.is_final;
  }

  /** What answers the request when Stripe is not asked. */
  function withoutStripe(id: string, stored: RawSession | undefined, withLineItems: boolean): RawSession {
    if (!stored) throw missingSession(id);
    if (withLineItems && !hasLineItems(stored.document)) throw lineItemsNotStored(id);
    return stored;
  }

  /**
   * Fetches a session from Stripe, and reads what is stored then. Where the event of the completion has just arrived, it
   * counts as newer than the fetched object and has no line items: they are fetched again a little later.
   */
  async function fetched(id: string, account: string | undefined, withLineItems: boolean) {
    await refresh(id, account);
    const session = await reads.find(id, withLineItems);
    if (!session || !withLineItems || hasLineItems(session.document)) return session;
    await setTimeout(settling);
    await refresh(id, account);
    return reads.find(id, withLineItems);
  }

  /**
   * Reads one session for a reader.
   *
   * @throws StripeError when there is none for this reader, or Stripe did not answer and nothing is stored.
   */
  async function retrieve(id: string, view: StripeView, withLineItems: boolean): Promise<ReadSession> {
    const stored = await reads.find(id, withLineItems);
    if (stored ? !reads.isVisible(stored, view) : isOfOtherMode(id, view)) throw missingSession(id);
    if (stored && suffices(stored, withLineItems)) return { session: stored, source: 'stored' };
    const key = `${id} ${view.account ?? ''}`;
    // The second look is for a read that found the absence while this one waited for the database.
    const isGone = !stored && (absent.has(key) || (await reads.isDeleted(id)) || absent.has(key));
    if (setting === 'off' || isGone) return { session: withoutStripe(id, stored, withLineItems), source: 'stored' };
    const result = await fetched(id, view.account, withLineItems).catch(problemOf);
    if (result instanceof Problem) {
      const { code } = result;
      if (code === 'session-not-found') absent.add(key);
      const isSilent = code === 'stripe-unavailable';
      if (isSilent && !(stored && (!withLineItems || hasLineItems(stored.document)))) throw asStripeError(result);
      if (!isSilent && code !== 'session-not-found' && code !== 'stripe-not-configured') throw asStripeError(result);
      if (isSilent) log.warn({ session: id, err: loggable(result.cause ?? result) }, unanswered);
      return { session: withoutStripe(id, stored, withLineItems), source: isSilent ? 'stale' : 'stored' };
    }
    if (!result || !reads.isVisible(result, view)) throw missingSession(id);
    if (withLineItems && !hasLineItems(result.document)) throw supersededLineItems(id);
    return { session: result, source: 'stripe' };
  }

  /**
   * Reads a page of sessions for a reader. The list is the mirror's alone, with two exceptions: line items that are not
   * stored are fetched, and Stripe is asked once for the session of a payment or a subscription that is not here.
   */
  async function list(view: StripeView, query: StripeListQuery): Promise<RawPage> {
    let page = await reads.list(view, query);
    if (setting === 'off') return query.withLineItems ? requireLineItems(page) : page;
    if (page.results === '') page = await fetchFiltered(view, query, page);
    if (!query.withLineItems) return page;
    const lacking = lackingLineItems(page);
    if (lacking.length === 0) return page;
    await inParallel(lacking, (id) => retrieve(id, view, true));
    return requireLineItems(await reads.list(view, query));
  }

  /** Reads an empty page again once Stripe was asked for the sessions of the payment or the subscription. */
  async function fetchFiltered(view: StripeView, query: StripeListQuery, empty: RawPage): Promise<RawPage> {
    const { payment_intent, subscription } = query.filters;
    if (query.cursor || (payment_intent === undefined && subscription === undefined)) return empty;
    const wanted = { ...(payment_intent && { payment_intent }), ...(subscription && { subscription }) };
    const key = `${JSON.stringify(wanted)} ${view.livemode} ${view.account ?? ''}`;
    if (absent.has(key)) return empty;
    const problem = await findAtStripe(wanted, view).catch(problemOf);
    // Stripe is not needed for what the mirror has. The key of another mode may have found the session.
    if (problem) log.warn({ err: loggable(problem.cause ?? problem) }, unanswered);
    const page = await reads.list(view, query);
    if (!problem && page.results === '') absent.add(key);
    return page;
  }

  return { retrieve, list };
}

/** Whether an id says that its session is of the mode that a reader does not see. */
function isOfOtherMode(id: string, { livemode }: StripeView): boolean {
  const mode = modeOf(id);
  return livemode !== undefined && mode !== undefined && (mode === 'live') !== livemode;
}

const unanswered = 'Stripe did not answer: the answer is what the mirror has';

/** Returns the problem that was thrown. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}

function lackingLineItems({ results }: RawPage): string[] {
  const sessions = JSON.parse(`[${results}]`) as { id: string }[];
  return sessions.flatMap((session) => (hasLineItems(session) ? [] : [session.id]));
}

function requireLineItems(page: RawPage): RawPage {
  const [lacking] = lackingLineItems(page);
  if (lacking !== undefined) throw lineItemsNotStored(lacking);
  return page;
}

function lineItemsNotStored(id: string): StripeError {
  const message = `The mirror has no line items of ${id}, and Stripe was not asked for them or does not have the session. They are fetched with STRIPE_READ_THROUGH=open or missing, and a key of the session's mode in STRIPE_API_KEYS.`;
  return new StripeError(400, message, { param: 'expand' });
}

/** An event that is newer than the fetched object, and has no line items, is stored by now. The SDKs try again. */
function supersededLineItems(id: string): StripeError {
  return new StripeError(503, `The session ${id} changed while its line items were fetched. Try again.`);
}

async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: fetchesAtOnce }, worker));
}
