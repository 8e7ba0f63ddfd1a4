import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { changeStore } from '../database/changes.js';
import type { Database } from '../database/engine/database.js';
import { removeOldEvents } from '../database/retention.js';
import { loggable } from '../errors.js';
import { accountToRead } from './calls.js';
import { catchUp } from './catch-up.js';
import type { StripeClient } from './client.js';
import type { Ingest } from './ingest.js';
import type { LineItems } from './line-items.js';

/** What the service does by itself, beside answering requests. */

/** The work that is done again and again, by its name in the log and the metrics. */
export const scheduledWork = [
  'catch-up',
  'fetching line items',
  'removing old events',
  'removing old changes',
] as const;

export type ScheduledWork = (typeof scheduledWork)[number];

export interface ScheduleOptions {
  readonly database: Database;
  readonly ingest: Ingest;
  readonly log: FastifyBaseLogger;
  /** Whose events are caught up with: without a key nobody's. */
  readonly clients: readonly StripeClient[];
  /** Milliseconds between catch-ups; 0 for none. */
  readonly catchUpInterval: number;
  /** The configured account, which an organization's key catches up with. */
  readonly accountId?: string | undefined;
  /** The background fetcher of line items, where that is configured. */
  readonly lineItems?: LineItems | undefined;
  /** Days that the ledger keeps an event. */
  readonly eventRetentionDays: number;
  /** Days that the change feed keeps a change. */
  readonly changeRetentionDays: number;
  /** Told of each run of each work. */
  readonly onRun?: (work: ScheduledWork, outcome: 'done' | 'failed') => void;
}

export interface Schedule {
  /** Ends what is running after the step that it is in, and resolves when nothing runs any more. */
  stop(): Promise<void>;
}

const retentionInterval = 3_600_000;
const lineItemsInterval = 60_000;
const retries = 8;
/** What Node's timers hold; beyond it they would not wait at all. */
const maxInterval = 2 ** 31 - 1;

/** Starts the periodic work: at once, and again an interval after it was done, so no two runs are at the same time. */
export function startSchedule(options: ScheduleOptions): Schedule {
  const { database, ingest, log, clients, catchUpInterval, accountId, lineItems, onRun } = options;
  const { eventRetentionDays, changeRetentionDays } = options;
  const changes = changeStore(database);
  const ending = new AbortController();
  const { signal } = ending;

  async function attempt(name: ScheduledWork, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      onRun?.(name, 'done');
    } catch (error) {
      if (signal.aborted) return;
      onRun?.(name, 'failed');
      log.error({ err: loggable(error) }, `${name} failed`);
    }
  }

  async function repeat(interval: number, work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await work();
      const pause = setTimeout(Math.min(interval, maxInterval), undefined, { ref: false, signal });
      await pause.catch(() => undefined);
    }
  }

  async function catchUpAll(): Promise<void> {
    for (const client of clients) {
      await attempt('catch-up', async () => {
        const { mode } = client;
        const onGap = (last: Date) =>
          log.warn({ mode, last }, 'Stripe has not kept all events since the last catch-up: run the backfill');
        const account = accountToRead(client, undefined, accountId);
        const totals = await catchUp({ client, account, retries, signal, ingest, database, onGap });
        log.info({ mode, ...totals }, 'caught up');
      });
    }
  }

  async function removeOld(): Promise<void> {
    await attempt('removing old events', async () => {
      const removed = await removeOldEvents(database, eventRetentionDays, signal);
      if (removed > 0) log.info({ removed }, 'removed old events');
    });
    await attempt('removing old changes', async () => {
      const removed = await changes.removeOld(changeRetentionDays, signal);
      if (removed > 0) log.info({ removed }, 'removed old changes');
    });
  }

  const running = [repeat(retentionInterval, removeOld)];
  if (catchUpInterval > 0 && clients.length > 0) running.push(repeat(catchUpInterval, catchUpAll));
  if (lineItems) running.push(repeat(lineItemsInterval, () => attempt('fetching line items', () => lineItems.pass())));
  return {
    async stop() {
      ending.abort();
      await Promise.all(running);
    },
  };
}
