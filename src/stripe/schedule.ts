import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { changeStore } from '../database/changes.js';
import type { Database } from '../database/engine/database.js';
import { removeOldEvents } from '../database/retention.js';
import { loggable } from '../errors.js';

import { accountToRead, backgroundRetries } from './calls.js';
import { catchUp } from './catch-up.js';
import type { StripeClient } from './client.js';
import type { Ingest } from './ingest.js';
import type { LineItems } from './line-items.js';

/** Periodic background work: catch-up, line items and retention. */

/** Names of the periodic work in the log and the metrics. */
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
  /** The clients to catch up with, one for each key. */
  readonly clients: readonly StripeClient[];
  /** Milliseconds between catch-ups; 0 turns them off. */
  readonly catchUpInterval: number;
  /** STRIPE_ACCOUNT_ID: the account that an organization's key catches up with. */
  readonly accountId?: string | undefined;
  /** The background fetcher of line items; undefined when it is turned off. */
  readonly lineItems?: LineItems | undefined;
  /** Days that the ledger keeps an event. */
  readonly eventRetentionDays: number;
  /** Days that the change feed keeps a change. */
  readonly changeRetentionDays: number;
  /** Called after each run. */
  readonly onRun?: (work: ScheduledWork, outcome: 'done' | 'failed') => void;
}

export interface Schedule {
  /** Stops the work after its current step, and resolves when nothing runs any more. */
  stop(): Promise<void>;
}

/** Milliseconds. */
const retentionInterval = 3_600_000;
/** Milliseconds. */
const lineItemsInterval = 60_000;
/** Longest delay of a Node timer, in milliseconds. A longer one fires at once. */
const maxInterval = 2 ** 31 - 1;

/** Starts the periodic work at once, and again an interval after each run ends. Two runs of one work never overlap. */
export function startSchedule(options: ScheduleOptions): Schedule {
  const { database, ingest, log, clients, catchUpInterval, accountId, lineItems, onRun } = options;
  const { eventRetentionDays, changeRetentionDays } = options;
  const changes = changeStore(database);
  const stopping = new AbortController();
  const { signal } = stopping;

  /** Runs a work once, and counts and logs a failure. */
  async function runOnce(name: ScheduledWork, work: () => Promise<void>): Promise<void> {
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
      await runOnce('catch-up', async () => {
        const { mode } = client;
        const onGap = (last: Date) =>
          log.warn({ mode, last }, 'Stripe has not kept all events since the last catch-up: run the backfill');
        const account = accountToRead(client, undefined, accountId);
        const totals = await catchUp({ client, account, retries: backgroundRetries, signal, ingest, database, onGap });
        log.info({ mode, ...totals }, 'caught up');
      });
    }
  }

  async function removeOld(): Promise<void> {
    await runOnce('removing old events', async () => {
      const removed = await removeOldEvents(database, eventRetentionDays, signal);
      if (removed > 0) log.info({ removed }, 'removed old events');
    });
    await runOnce('removing old changes', async () => {
      const removed = await changes.removeOld(changeRetentionDays, signal);
      if (removed > 0) log.info({ removed }, 'removed old changes');
    });
  }

  const running = [repeat(retentionInterval, removeOld)];
  if (catchUpInterval > 0 && clients.length > 0) running.push(repeat(catchUpInterval, catchUpAll));
  if (lineItems) running.push(repeat(lineItemsInterval, () => runOnce('fetching line items', () => lineItems.pass())));
  return {
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
