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
 * Reads Stripe's objects, and fetches them from Stripe when the mirror may be behind: Stripe sends no event for a new
 * session, and the page that a customer returns to may be faster than the webhook. STRIPE_READ_THROUGH chooses which reads
 * fetch first.
 */

/**
 * The source of an answer. `stored`: the mirror. `stripe`: fetched just now. `stale`: the mirror, as Stripe did not answer.
 */
export type AnswerSource = 'stored' | 'stripe' | 'stale';

export interface ReadSession {
  readonly session: RawSession;
  readonly source: AnswerSource;
}

interface ReadThroughOptions {
  readonly config: Pick<Config, 'STRIPE_READ_THROUGH' | 'STRIPE_API_KEYS'>;
  readonly reads: StripeReadStore;
  readonly refresh: Refresh;
  readonly findAtStripe: FindAtStripe;
  readonly log: FastifyBaseLogger;
}

/** Maximum number of concurrent fetches for one list. */
const concurrency = 8;
/** Milliseconds. A snapshot taken two seconds after an event has a newer stamp than the event. */
const snapshotDelay = 2000;

export type ReadThrough = ReturnType<typeof createReadThrough>;

export function createReadThrough({ config, reads, refresh, findAtStripe, log }: ReadThroughOptions) {
  const setting = config.STRIPE_READ_THROUGH ?? (config.STRIPE_API_KEYS.length > 0 ? 'open' : 'off');
  const missingAtStripe: NegativeCache = createNegativeCache();

  /** Whether the stored session answers the request without a fetch. */
  function canServeStored(stored: RawSession, withLineItems: boolean): boolean {
    return !lacksWantedItems(stored, withLineItems) && (setting !== 'open' || stored.is_final);
  }

  /** Returns the stored session. Throws StripeError when there is none, or it lacks line items that the request wants. */
  function requireStored(id: string, stored: RawSession | undefined, withLineItems: boolean): RawSession {
    if (!stored) throw missingSession(id);
    if (lacksWantedItems(stored, withLineItems)) throw lineItemsNotStored(id);
    return stored;
  }

  /**
   * Refreshes a session from Stripe, and reads it from the mirror. A completion event that has just arrived counts as newer
   * than the fetched object and has no line items. In that case it refreshes again two seconds later.
   */
  async function refreshAndRead(id: string, account: string | undefined, withLineItems: boolean) {
    await refresh(id, account);
    const session = await reads.find(id, withLineItems);
    if (!session || !lacksWantedItems(session, withLineItems)) return session;
    await setTimeout(snapshotDelay);
    await refresh(id, account);
    return reads.find(id, withLineItems);
  }

  /** Answers from the mirror after a failed refresh. Throws StripeError when the mirror lacks the answer. */
  function answerAfterFailure(
    problem: Problem,
    id: string,
    stored: RawSession | undefined,
    withLineItems: boolean,
  ): ReadSession {
    switch (problem.code) {
      case 'session-not-found':
      case 'stripe-not-configured':
        return { session: requireStored(id, stored, withLineItems), source: 'stored' };
      case 'stripe-unavailable':
        if (!stored || lacksWantedItems(stored, withLineItems)) throw asStripeError(problem);
        log.warn({ session: id, err: loggable(problem.cause ?? problem) }, servedStale);
        return { session: stored, source: 'stale' };
      default:
        throw asStripeError(problem);
    }
  }

  /**
   * Reads one session for a reader.
   *
   * @throws StripeError when the reader has no such session, or when Stripe does not answer and the mirror lacks the
   *   answer.
   */
  async function retrieve(id: string, view: StripeView, withLineItems: boolean): Promise<ReadSession> {
    const stored = await reads.find(id, withLineItems);
    if (stored ? !reads.isVisible(stored, view) : isOfOtherMode(id, view)) throw missingSession(id);
    if (stored && canServeStored(stored, withLineItems)) return { session: stored, source: 'stored' };
    const key = `${id} ${view.account ?? ''}`;
    // Look twice: another read may have learned that Stripe lacks the session while this one waited for the database.
    const isKnownMissing =
      missingAtStripe.has(key) || (!stored && ((await reads.isDeleted(id)) || missingAtStripe.has(key)));
    if (setting === 'off' || isKnownMissing)
      return { session: requireStored(id, stored, withLineItems), source: 'stored' };
    const result = await refreshAndRead(id, view.account, withLineItems).catch(problemOrRethrow);
    if (result instanceof Problem) {
      if (result.code === 'session-not-found') missingAtStripe.add(key);
      return answerAfterFailure(result, id, stored, withLineItems);
    }
    if (!result || !reads.isVisible(result, view)) throw missingSession(id);
    if (lacksWantedItems(result, withLineItems)) throw supersededLineItems(id);
    return { session: result, source: 'stripe' };
  }

  /**
   * Reads a page of sessions for a reader from the mirror. It fetches from Stripe in two cases: for line items that the
   * mirror lacks, and once for the session of a payment intent or a subscription that the mirror lacks.
   */
  async function list(view: StripeView, query: StripeListQuery): Promise<RawPage> {
    let page = await reads.list(view, query);
    if (setting === 'off') return query.withLineItems ? requireLineItems(page) : page;
    if (page.results === '') page = await fetchAndList(view, query, page);
    if (!query.withLineItems) return page;
    const lacking = lackingLineItems(page);
    if (lacking.length === 0) return page;
    await inParallel(lacking, (id) => retrieve(id, view, true));
    return requireLineItems(await reads.list(view, query));
  }

  /** Fetches the sessions of the payment intent or the subscription for an empty page, and reads the page again. */
  async function fetchAndList(view: StripeView, query: StripeListQuery, empty: RawPage): Promise<RawPage> {
    const { payment_intent, subscription } = query.filters;
    if (query.cursor || (payment_intent === undefined && subscription === undefined)) return empty;
    const filter = { ...(payment_intent && { payment_intent }), ...(subscription && { subscription }) };
    const key = `${JSON.stringify(filter)} ${view.livemode} ${view.account ?? ''}`;
    if (missingAtStripe.has(key)) return empty;
    const problem = await findAtStripe(filter, view).catch(problemOrRethrow);
    // Do not fail: the mirror has an answer, and the key of another mode may have found the session.
    if (problem) log.warn({ err: loggable(problem.cause ?? problem) }, servedStale);
    const page = await reads.list(view, query);
    if (!problem && page.results === '') missingAtStripe.add(key);
    return page;
  }

  return { retrieve, list };
}

/** Whether the request wants line items that a session does not have. */
function lacksWantedItems({ document }: RawSession, withLineItems: boolean): boolean {
  return withLineItems && !hasLineItems(document);
}

/** Whether an id names the mode that the reader does not see. */
function isOfOtherMode(id: string, { livemode }: StripeView): boolean {
  const mode = modeOf(id);
  return livemode !== undefined && mode !== undefined && (mode === 'live') !== livemode;
}

const servedStale = 'Stripe did not answer: served the stored data';

/** Returns a thrown Problem, and throws any other error on. */
function problemOrRethrow(error: unknown): Problem {
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
  const message = `The mirror has no line items of ${id}, and this service did not fetch them or Stripe does not have the session. To fetch line items, set STRIPE_READ_THROUGH to open or missing, and add a key of the session's mode to STRIPE_API_KEYS.`;
  return new StripeError(400, message, { param: 'expand' });
}

/**
 * The error when an event without line items, newer than the fetched object, was stored meanwhile. Stripe's SDKs retry a
 * 503.
 */
function supersededLineItems(id: string): StripeError {
  return new StripeError(503, `The session ${id} changed while its line items were fetched. Try again.`);
}

/** Runs `work` for each item, several at a time. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
