import type Stripe from 'stripe';
import type { Database } from '../database/engine/database.js';
import { progressOf } from '../database/progress.js';
import { accountOfPath } from '../model/stripe.js';
import { type CallContext, callWithRetries, pageSize, requestOptions } from './calls.js';
import { secondBeforeNow } from './client.js';
import { accountOf, type Ingest, type IngestResult, parseEvent, sessionEventTypes } from './ingest.js';

/** Seconds by which runs overlap, as Stripe may list an event later than it says that it was created. */
const overlap = 3600;
/** Seconds for which Stripe keeps events. */
const reach = 30 * 24 * 3600;

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
  /** Told when the last run was so long ago that Stripe has not kept all events since. */
  readonly onGap?: (last: Date) => void;
  /** Told after each page that is taken in. */
  readonly onPage?: (totals: Readonly<CatchUpTotals>) => void;
}

/**
 * Takes in the events since the last run that was completed, as if the webhook had brought them: what was delivered
 * is a duplicate, what was not is made up for. A run that fails leaves the watermark, so the next begins there too.
 */
export async function catchUp(run: CatchUp): Promise<CatchUpTotals> {
  const { client, account, ingest, database, signal, onGap, onPage } = run;
  const watermark = progressOf<{ start: number }>(database, ['catch-up', client.mode, account].join(':'));
  const start = secondBeforeNow();
  const last = (await watermark.load())?.start;
  if (last !== undefined && last < start - reach) onGap?.(new Date(last * 1000));
  const totals: CatchUpTotals = { pages: 0, seen: 0, applied: 0, stale: 0, duplicate: 0, deleted: 0, ignored: 0 };
  for await (const events of eventPages(run, last === undefined ? start - reach : last - overlap)) {
    signal?.throwIfAborted();
    const taken = await Promise.allSettled(events.map((event) => takeIn(ingest, event, account)));
    for (const result of taken) {
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

/** The events since a second, newest first. The guard of the upsert makes their order irrelevant, so a page is one batch. */
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

async function takeIn(ingest: Ingest, given: Stripe.Event, account: string | undefined): Promise<IngestResult> {
  const parsed = parseEvent(given);
  if ('fault' in parsed) return { outcome: 'ignored' };
  const { event } = parsed;
  // Asked for on behalf of an account, an event need not name it.
  const owner = accountOf(event) ?? accountOfPath(account);
  return ingest.event({ ...event, ...(owner !== undefined && { account: owner }) });
}
