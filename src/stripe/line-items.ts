import type { FastifyBaseLogger } from 'fastify';
import type { Database } from '../database/engine/database.js';
import { sessionsWithoutItems } from '../database/sessions/line-items.js';
import { loggable } from '../errors.js';
import { rejectOnAbort } from './calls.js';
import type { IngestResult, OnMissingLineItems } from './ingest.js';
import type { Refresh } from './refresh.js';

/**
 * Fetches the line items of completed sessions in the background, because Stripe's events lack them. The first try is soon
 * after the event; the schedule retries a failed one. The queue is in memory only. After a restart the ledger has the
 * events.
 */

/** Maximum number of concurrent calls. */
const concurrency = 4;
/** Maximum number of waiting sessions. A session that finds the queue full is fetched at its next retry age. */
const maxWaiting = 100_000;
/**
 * Seconds to wait after an event. The stamp of a snapshot taken in the event's second or the next is older than the
 * event's.
 */
const snapshotDelay = 3;
/**
 * Ages of an event, in seconds since it was received, at which a session that still lacks line items is fetched again.
 * After the last one the service gives up: the session may have none.
 */
const retryAges = [60, 600, 3600, 6 * 3600, 24 * 3600, 72 * 3600];
const maxAge = retryAges.at(-1) as number;

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
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Ids that wait for their delay or in the queue. */
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
      log.warn({ session: id, err: loggable(error) }, 'could not fetch line items');
    }
  }

  /** Fetches queued sessions until the queue is empty. */
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
    const start = () => {
      queue.push(session);
      if (running < concurrency) void work();
    };
    if (delay > 0) setTimeout(start, delay).unref();
    else start();
  }

  /** Queues a session, delayed until a snapshot is newer than its event. Clocks may differ, so the delay is at most 6 s. */
  const onMissingLineItems: OnMissingLineItems = ({ id, second, account }) => {
    const delay = (second + snapshotDelay) * 1000 - Date.now();
    enqueue({ id, account }, Math.min(Math.max(delay, 0), 2 * snapshotDelay * 1000));
  };

  return {
    onMissingLineItems,

    /**
     * Queues the sessions whose event has reached a retry age since the previous pass. The first pass after a start queues
     * all between the first and the last age.
     */
    async pass(): Promise<void> {
      const now = Date.now();
      // One second of overlap: this process and the database have different clocks.
      const elapsed = lastPass === undefined ? maxAge : (now - lastPass) / 1000 + 1;
      for (const over of lastPass === undefined ? retryAges.slice(0, 1) : retryAges) {
        const ids = await sessionsWithoutItems(database, { over, upTo: over + elapsed });
        for (const id of ids) enqueue({ id });
      }
      lastPass = now;
    },

    /** Stops: starts no further call and abandons the calls in flight. */
    stop(): void {
      stopping.abort();
    },
  };
}
