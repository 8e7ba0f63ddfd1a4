import { isDeepStrictEqual } from 'node:util';
import Stripe from 'stripe';
import type { Database } from '../database/engine/database.js';
import { taskProgress } from '../database/progress.js';
import { storedStates } from '../database/sessions/read.js';
import { type ColumnName, columns } from '../model/session.js';
import { accountOfPath, type SessionState } from '../model/stripe.js';
import { type CallContext, callWithRetries, pageSize, requestOptions, withAllLineItems } from './calls.js';
import { secondBeforeNow } from './client.js';
import type { Ingest } from './ingest.js';
import { translate } from './translate.js';

/** Sessions created from `since` (inclusive) until `until` (exclusive), in epoch seconds. */
export interface CreatedRange {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** The newest and the oldest ingested id. Every session between the two is ingested. */
interface IngestedSpan {
  readonly newest: string;
  readonly oldest: string;
}

interface Page {
  readonly sessions: readonly unknown[];
  /** The last whole epoch second before the request. */
  readonly second: number;
  /** The span of the run once the page is ingested. */
  readonly span: IngestedSpan;
}

/**
 * Reads the sessions of a range, newest first. With the span of an interrupted run it first reads the newer sessions, which
 * Stripe created since that run, and then the older ones.
 */
async function* sessionPages(context: CallContext, range: CreatedRange, from?: IngestedSpan): AsyncGenerator<Page> {
  let span = from;
  let readsNewer = span !== undefined;
  for (;;) {
    const cursor = span && (readsNewer ? { ending_before: span.newest } : { starting_after: span.oldest });
    let page: Awaited<ReturnType<typeof listSessions>>;
    try {
      page = await listSessions(context, range, cursor);
    } catch (error) {
      // Stripe no longer knows the cursor of the earlier run: deleted test data, or the key of another account. Start over
      // from the newest session.
      if (!span || span !== from || !isUnknownCursor(error)) throw error;
      span = undefined;
      readsNewer = false;
      continue;
    }
    const { data, has_more, second } = page;
    const [first, last] = [data[0], data.at(-1)];
    if (first && last) {
      span = {
        newest: readsNewer || !span ? first.id : span.newest,
        oldest: readsNewer && span ? span.oldest : last.id,
      };
      const sessions: unknown[] = [];
      for (const session of data) sessions.push(await withAllLineItems(context, session));
      yield { sessions, second, span };
    }
    if (first && has_more) continue;
    if (!readsNewer) return;
    readsNewer = false;
  }
}

function isUnknownCursor(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'resource_missing';
}

function listSessions(context: CallContext, { since, until }: CreatedRange, cursor?: Stripe.PaginationParams) {
  const created = { ...(since !== undefined && { gte: since }), ...(until !== undefined && { lt: until }) };
  return callWithRetries(context, async () => {
    const second = secondBeforeNow();
    const { data, has_more } = await context.client.stripe.checkout.sessions.list(
      { created, limit: pageSize, expand: ['data.line_items'], ...cursor },
      requestOptions(context),
    );
    return { data, has_more, second };
  });
}

export interface BackfillTotals {
  pages: number;
  seen: number;
  applied: number;
  stale: number;
  deleted: number;
  ignored: number;
}

interface Backfill extends CallContext, CreatedRange {
  readonly database: Database;
  readonly ingest: Ingest;
  /** Called when the run resumes an interrupted run with the same parameters. */
  readonly onResume?: () => void;
  /** Called after each committed page. */
  readonly onPage?: (totals: Readonly<BackfillTotals>) => void;
}

/**
 * Ingests every session of a range from Stripe, page by page. The database keeps the ingested span until the run is complete,
 * so an interrupted run with the same parameters resumes there.
 */
export async function backfill(run: Backfill): Promise<BackfillTotals> {
  const { client, account, since, until, ingest, database, onResume, onPage } = run;
  const progress = taskProgress<IngestedSpan>(database, ['backfill', client.mode, account, since, until].join(':'));
  const apiVersion = client.stripe.getApiField('version');
  const totals: BackfillTotals = { pages: 0, seen: 0, applied: 0, stale: 0, deleted: 0, ignored: 0 };
  const from = await progress.load();
  if (from) onResume?.();
  for await (const { sessions, second, span } of sessionPages(run, run, from)) {
    const results = await ingest.snapshots(sessions.map((object) => ({ object, account, apiVersion, second })));
    await progress.save(span);
    totals.pages += 1;
    totals.seen += results.length;
    // Only events can be duplicates, and snapshots have none.
    for (const { outcome } of results) if (outcome !== 'duplicate') totals[outcome] += 1;
    onPage?.({ ...totals });
    run.signal?.throwIfAborted();
  }
  await progress.remove();
  return totals;
}

/** A session in which the mirror differs from Stripe. */
export interface Difference {
  readonly id: string;
  readonly kind: 'missing' | 'differs' | 'deleted';
  /** The columns that differ. */
  readonly columns: readonly string[];
}

export interface ComparisonTotals {
  pages: number;
  seen: number;
  same: number;
  missing: number;
  differs: number;
  deleted: number;
  ignored: number;
}

interface Comparison extends CallContext, CreatedRange {
  readonly database: Database;
  /** The owner of sessions that are read without an account: STRIPE_ACCOUNT_ID. */
  readonly owner?: string | undefined;
  readonly onDifference: (difference: Difference) => void;
  /** Called after each page. */
  readonly onPage?: (totals: Readonly<ComparisonTotals>) => void;
}

/** Compares the mirror with Stripe's sessions of a range. Writes nothing. */
export async function compare(run: Comparison): Promise<ComparisonTotals> {
  const { database, onDifference, onPage } = run;
  const account = accountOfPath(run.account) ?? run.owner;
  const totals: ComparisonTotals = { pages: 0, seen: 0, same: 0, missing: 0, differs: 0, deleted: 0, ignored: 0 };
  for await (const { sessions, second } of sessionPages(run, run)) {
    const states = sessions.flatMap((object) => translate(object, { account, second, eventId: '' })?.state ?? []);
    const differences = await differencesOf(database, states);
    totals.pages += 1;
    totals.seen += sessions.length;
    totals.ignored += sessions.length - states.length;
    totals.same += states.length - differences.length;
    for (const difference of differences) {
      totals[difference.kind] += 1;
      onDifference(difference);
    }
    onPage?.({ ...totals });
  }
  return totals;
}

async function differencesOf(database: Database, states: readonly SessionState[]): Promise<Difference[]> {
  const ids = states.map(({ id }) => id);
  const rows = new Map((await storedStates(database, ids)).map((row) => [row.id, row]));
  return states.flatMap(({ id, carried, status, paymentStatus }): Difference[] => {
    const row = rows.get(id);
    if (!row) return [{ id, kind: 'missing', columns: [] }];
    if (row.is_deleted) return [{ id, kind: 'deleted', columns: [] }];
    const stored = { ...JSON.parse(row.document), status: row.status, payment_status: row.payment_status };
    const expected = { ...carried, status, payment_status: paymentStatus };
    const differing = Object.entries(expected).filter(([name, value]) => !isSame(name, value, stored[name]));
    return differing.length > 0 ? [{ id, kind: 'differs', columns: differing.map(([name]) => name) }] : [];
  });
}

const timestamps = new Set<ColumnName>(columns.filter(({ kind }) => kind === 'timestamp').map(({ name }) => name));

function isSame(name: string, one: unknown, other: unknown): boolean {
  if (!timestamps.has(name as ColumnName) || one === null) return isDeepStrictEqual(one, other);
  return Date.parse(String(one)) === Date.parse(String(other));
}
