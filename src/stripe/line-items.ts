import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/engine/database.js';
import { sessionsWithoutItems } from '../database/sessions/line-items.js';
import { loggable } from '../errors.js';
import { rejectOnAbort } from './calls.js';
import type { IngestResult, OnMissingLineItems } from './ingest.js';
import type { Refresh } from './refresh.js';

/**
 * Fetches the line items of completed sessions in the background, as Stripe's events lack them: soon after the event, and
 * again by the schedule where that failed. The queue is in memory alone: after a restart the ledger still has the events.
 */

/** Calls of Stripe at once. */
const concurrency = 4;
/** Sessions that wait at most. Those beyond it are asked for at the next of their ages. */
const maxWaiting = 100_000;
/** Seconds to wait after an event. A snapshot of the event's own second, or of the next, is stamped as older than it. */
const settling = 3;
/**
 * Seconds after an event was received at which a session that has no line items yet is asked for again. The last one is
 * the last try: Stripe may have none.
 */
const tryAges = [60, 600, 3600, 6 * 3600, 24 * 3600, 72 * 3600];
const lastAge = tryAges.at(-1) as number;

interface Options {
  readonly database: Database;
  readonly refresh: Refresh;
  readonly log: FastifyBaseLogger;
  /** Called after each try. */
  readonly onTry: (outcome: IngestResult['outcome'] | 'failed') => void;
}

interface Waiting {
  readonly id: string;
  readonly account?: string | undefined;
}

export type LineItems = ReturnType<typeof createLineItems>;

/** Creates the background fetcher, which runs until it is stopped. */
export function createLineItems({ database, refresh, log, onTry }: Options) {
  const ending = new AbortController();
  const { signal } = ending;
  /** The ids that wait, for their time or for their turn. */
  const waiting = new Set<string>();
  const queue: Waiting[] = [];
  let running = 0;
  let lastPass: number | undefined;

  async function fetchOne({ id, account }: Waiting): Promise<void> {
    try {
      const { outcome } = await rejectOnAbort(refresh(id, account), signal);
      onTry(outcome);
    } catch (error) {
      if (signal.aborted) return;
      onTry('failed');
      log.warn({ session: id, err: loggable(error) }, 'line items could not be fetched');
    }
  }

  async function work(): Promise<void> {
    running += 1;
    for (let next = queue.shift(); next && !signal.aborted; next = queue.shift()) {
      waiting.delete(next.id);
      await fetchOne(next);
    }
    running -= 1;
  }

  function enqueue(session: Waiting, delay = 0): void {
    if (signal.aborted || waiting.has(session.id) || waiting.size >= maxWaiting) return;
    waiting.add(session.id);
    const begin = () => {
      queue.push(session);
      if (running < concurrency) void work();
    };
    if (delay > 0) setTimeout(begin, delay).unref();
    else begin();
  }

  /** Asks for a session once a snapshot of it is newer than its event. Clocks may differ, so the wait is bounded. */
  const onMissingLineItems: OnMissingLineItems = ({ id, second, account }) => {
    const delay = (second + settling) * 1000 - Date.now();
    enqueue({ id, account }, Math.min(Math.max(delay, 0), 2 * settling * 1000));
  };

  return {
    onMissingLineItems,

    /**
     * Asks again for the sessions whose event reached one of the ages since the pass before. The first pass asks for all
     * up to the last age.
     */
    async pass(): Promise<void> {
      const now = Date.now();
      // A second of overlap, as the timers and the clock of the database differ.
      const elapsed = lastPass === undefined ? lastAge : (now - lastPass) / 1000 + 1;
      for (const over of lastPass === undefined ? tryAges.slice(0, 1) : tryAges) {
        const ids = await sessionsWithoutItems(database, { over, upTo: over + elapsed });
        for (const id of ids) enqueue({ id });
      }
      lastPass = now;
    },

    /** Starts no further call, and waits no longer for the calls in flight. */
    stop(): void {
      ending.abort();
    },
  };
}
