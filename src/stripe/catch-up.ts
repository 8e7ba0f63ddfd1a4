import type Stripe from 'stripe';
import type { Database } from '../database/engine/database.js';
import { taskProgress } from '../database/progress.js';
import { accountOfPath } from '../model/stripe.js';
import { type CallContext, callWithRetries, pageSize, requestOptions } from './calls.js';
import { secondBeforeNow } from './client.js';
import { accountOf, parseEvent, sessionEventTypes } from './event-body.js';
import type { Ingest, IngestResult } from './ingest.js';

/** Seconds by which two runs overlap: Stripe may list an event later than its `created` says. */
const overlap = 3600;
/** Seconds that Stripe keeps events. */
const retention = 30 * 24 * 3600;

export interface CatchUpTotals {
  pages: number;
  seen: number;
  applied: number;
  stale: number;
  duplicate: number;
  deleted: number;
  ignored: number;
}

interface CatchUp extends CallContext {
  readonly database: Database;
  readonly ingest: Ingest;
  /** Called when the last run is older than Stripe's retention, so that events are lost. */
  readonly onGap?: (last: Date) => void;
  /** Called after each ingested page. */
  readonly onPage?: (totals: Readonly<CatchUpTotals>) => void;
}

/**
 * Ingests the events since the last complete run, exactly as the webhook would. A delivered event is a duplicate; a missed
 * one is stored. A run that fails keeps the watermark, so the next run starts from the same time.
 */
export async function catchUp(run: CatchUp): Promise<CatchUpTotals> {
  const { client, account, ingest, database, signal, onGap, onPage } = run;
  const watermark = taskProgress<{ start: number }>(database, ['catch-up', client.mode, account].join(':'));
  const start = secondBeforeNow();
  const last = (await watermark.load())?.start;
  if (last !== undefined && last < start - retention) onGap?.(new Date(last * 1000));
  const totals: CatchUpTotals = { pages: 0, seen: 0, applied: 0, stale: 0, duplicate: 0, deleted: 0, ignored: 0 };
  for await (const events of eventPages(run, last === undefined ? start - retention : last - overlap)) {
    signal?.throwIfAborted();
    const results = await Promise.allSettled(events.map((event) => ingestEvent(ingest, event, account)));
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
      totals.seen += 1;
      totals[result.value.outcome] += 1;
    }
    totals.pages += 1;
    onPage?.({ ...totals });
  }
  await watermark.save({ start });
  return totals;
}

/**
 * Reads the events since a second, newest first. The guarded upsert makes their order irrelevant, so a page is one batch.
 */
async function* eventPages(context: CallContext, since: number): AsyncGenerator<Stripe.Event[]> {
  for (let after: string | undefined, more = true; more; ) {
    const cursor = after === undefined ? {} : { starting_after: after };
    const { data, has_more } = await callWithRetries(context, () =>
      context.client.stripe.events.list(
        { types: sessionEventTypes, created: { gte: since }, limit: pageSize, ...cursor },
        requestOptions(context),
      ),
    );
    if (data.length > 0) yield data;
    after = data.at(-1)?.id;
    more = has_more && after !== undefined;
  }
}

async function ingestEvent(ingest: Ingest, body: Stripe.Event, account: string | undefined): Promise<IngestResult> {
  const parsed = parseEvent(body);
  if ('fault' in parsed) return { outcome: 'ignored' };
  const { event } = parsed;
  // An event that is listed on behalf of an account need not name the account.
  const owner = accountOf(event) ?? accountOfPath(account);
  return ingest.event({ ...event, ...(owner !== undefined && { account: owner }) });
}
