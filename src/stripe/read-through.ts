import type { Config } from '../config.js';
import type { RawPage, RawSession, StripeReadStore } from '../database/stripe-reads.js';
import { Problem } from '../errors.js';
import { asStripeError, missingSession, StripeError } from '../model/stripe-errors.js';
import type { StripeListQuery, StripeView } from '../model/stripe-reads.js';
import { type Absences, rememberAbsences } from './absences.js';
import { modeOf } from './client.js';
import type { FindAtStripe } from './find.js';
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
}

/** Sessions of one list that are fetched from Stripe at once. */
const fetchesAtOnce = 8;

export type ReadThrough = ReturnType<typeof createReadThrough>;

export function createReadThrough({ config, reads, refresh, findAtStripe }: ReadThroughOptions) {
  const setting = config.STRIPE_READ_THROUGH ?? (config.STRIPE_API_KEYS.length > 0 ? 'open' : 'off');
  const absences: Absences = rememberAbsences();

  /** Whether a stored session answers the request as it is. */
  function suffices(stored: RawSession, withLineItems: boolean): boolean {
    if (withLineItems && !stored.has_line_items) return false;
    return setting !== 'open' || stored.is_final;
  }

  /** What answers the request when Stripe is not asked. */
  function withoutStripe(id: string, stored: RawSession | undefined, withLineItems: boolean): RawSession {
    if (!stored) throw missingSession(id);
    if (withLineItems && !stored.has_line_items) throw lineItemsNotStored(id);
    return stored;
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
    const isGone = !stored && (absences.has(key) || (await reads.isDeleted(id)));
    if (setting === 'off' || isGone) return { session: withoutStripe(id, stored, withLineItems), source: 'stored' };
    const problem = await problemOf(refresh(id, view.account));
    if (problem) {
      const { code } = problem;
      if (code === 'session-not-found') absences.add(key);
      const isSilent = code === 'stripe-unavailable';
      if (isSilent && !(stored && (!withLineItems || stored.has_line_items))) throw asStripeError(problem);
      if (!isSilent && code !== 'session-not-found' && code !== 'stripe-not-configured') throw asStripeError(problem);
      return { session: withoutStripe(id, stored, withLineItems), source: isSilent ? 'stale' : 'stored' };
    }
    const session = await reads.find(id, withLineItems);
    if (!session || !reads.isVisible(session, view)) throw missingSession(id);
    if (withLineItems && !session.has_line_items) throw supersededLineItems(id);
    return { session, source: 'stripe' };
  }

  /**
   * Reads a page of sessions for a reader. The list is the mirror's alone, with two exceptions: line items that are not
   * stored are fetched, and Stripe is asked once for the session of a payment or a subscription that is not here.
   */
  async function list(view: StripeView, query: StripeListQuery): Promise<RawPage> {
    const page = await reads.list(view, query);
    if (setting === 'off') return query.withLineItems ? requireLineItems(page) : page;
    if (page.results === '') return (await fetchFiltered(view, query)) ? reads.list(view, query) : page;
    if (!query.withLineItems) return page;
    const lacking = lackingLineItems(page);
    if (lacking.length === 0) return page;
    await inParallel(lacking, (id) => retrieve(id, view, true));
    return requireLineItems(await reads.list(view, query));
  }

  /** Whether Stripe had the session of a payment or a subscription, which is stored then. */
  async function fetchFiltered(view: StripeView, { filters, cursor }: StripeListQuery): Promise<boolean> {
    const { payment_intent, subscription } = filters;
    if (cursor || (payment_intent === undefined && subscription === undefined)) return false;
    const wanted = { ...(payment_intent && { payment_intent }), ...(subscription && { subscription }) };
    const key = `${JSON.stringify(wanted)} ${view.livemode} ${view.account ?? ''}`;
    if (absences.has(key)) return false;
    const found = await findAtStripe(wanted, view).catch((error: unknown) => {
      // Stripe is not needed for what the mirror has: the page stays empty.
      if (error instanceof Problem && error.code === 'stripe-unavailable') return false;
      throw error;
    });
    if (!found) absences.add(key);
    return found;
  }

  return { retrieve, list };
}

/** Whether an id says that its session is of the mode that a reader does not see. */
function isOfOtherMode(id: string, { livemode }: StripeView): boolean {
  const mode = modeOf(id);
  return livemode !== undefined && mode !== undefined && (mode === 'live') !== livemode;
}

async function problemOf(work: Promise<unknown>): Promise<Problem | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

function lackingLineItems({ results }: RawPage): string[] {
  const sessions = JSON.parse(`[${results}]`) as { id: string; line_items?: unknown }[];
  return sessions.flatMap(({ id, line_items }) => (line_items === undefined ? [id] : []));
}

function requireLineItems(page: RawPage): RawPage {
  const [lacking] = lackingLineItems(page);
  if (lacking !== undefined) throw lineItemsNotStored(lacking);
  return page;
}

function lineItemsNotStored(id: string): StripeError {
  const message = `The mirror has no line items of ${id}. Set STRIPE_READ_THROUGH=open or missing, with a key in STRIPE_API_KEYS, to fetch them from Stripe.`;
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
