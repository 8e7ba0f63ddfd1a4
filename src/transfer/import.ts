import { databaseProblem } from '../database/engine/sqlstate.js';
import type { Ingest, IngestResult } from '../stripe/ingest.js';
import type { ImportEntry } from './import-file.js';
import { groupedWriter, type PlacedItem } from './import-groups.js';
import type { ImportItem, JsonObject } from './import-item.js';
import type { RowResult, TransferStore } from './store.js';

/** Counts of entries. At the end of an import `read` is the sum of the other counts. */
export interface ImportTotals {
  read: number;
  /** Written. */
  applied: number;
  /** Already stored, or stored in a newer state. */
  unchanged: number;
  /** Of a session that was deleted here. */
  deleted: number;
  /** Of a mode or an event type that is not ingested. */
  ignored: number;
  /** Reported as a fault. */
  failed: number;
}

export interface ImportOptions {
  readonly ingest: Ingest;
  readonly transfer: TransferStore;
  /** Whether to bring back sessions that were deleted here. The mirror of `ingest` must do it too. */
  readonly restore: boolean;
  /** Whether to refuse a row whose djstripe_id another session has. Otherwise the row gets a new djstripe_id. */
  readonly keepNumbers?: boolean;
  /** The owner of Stripe objects, which do not name it. Undefined means the configured account. */
  readonly account?: string | undefined;
  readonly totals: ImportTotals;
  /** Called for each entry that cannot be imported. */
  readonly onFault: (place: string, fault: string) => void;
  /** Called for each row that got a new djstripe_id. */
  readonly onRenumbered?: (place: string, renumbered: Renumbered) => void;
  readonly onProgress: () => void;
}

/** A session that got a new djstripe_id, because the session `holder` already has that djstripe_id here. */
export interface Renumbered {
  readonly id: string;
  readonly djstripeId: number;
  readonly newDjstripeId: string;
  readonly holder: string;
}

type Outcome = Exclude<keyof ImportTotals, 'read' | 'failed'>;
type Result = Outcome | { readonly fault: string } | 'conflict';

/** Maximum number of rows in memory that wait for a new djstripe_id. */
const maxConflicts = 20_000;

export function newTotals(): ImportTotals {
  return { read: 0, applied: 0, unchanged: 0, deleted: 0, ignored: 0, failed: 0 };
}

/**
 * Imports entries in order, in groups: it reads the next group while it writes one. It reports an entry that cannot be
 * imported, and continues. Importing the same entries again changes nothing.
 *
 * A row whose djstripe_id another session has waits until the other rows are written. By then the other session may have
 * released that djstripe_id. A new djstripe_id also cannot clash with a later row, because there is none. When 20,000 rows
 * wait, they are written early.
 *
 * @throws when the database becomes unavailable.
 */
export async function importEntries(entries: AsyncIterable<ImportEntry>, options: ImportOptions): Promise<void> {
  const { totals } = options;
  const conflicts: PlacedItem[] = [];
  const writer = groupedWriter((group) => writeGroup(group, options, conflicts));
  for await (const { place, parsed } of entries) {
    totals.read += 1;
    if ('fault' in parsed || 'ignored' in parsed) {
      record('fault' in parsed ? parsed : 'ignored', place, options);
      continue;
    }
    await writer.add({ place, item: parsed });
    if (conflicts.length >= maxConflicts) await writeConflicts(conflicts.splice(0), options);
  }
  await writer.end();
  await writeConflicts(conflicts, options);
}

/** Writes the rows that waited. A row whose djstripe_id another session still has gets a new one. */
async function writeConflicts(rows: readonly PlacedItem[], options: ImportOptions): Promise<void> {
  const writer = groupedWriter((group) => writeGroup(group, options));
  for (const row of rows) await writer.add(row);
  await writer.end();
}

/** Adds a result to the totals, reports a fault, and signals progress. */
function record(result: Exclude<Result, 'conflict'>, place: string, { totals, onFault, onProgress }: ImportOptions) {
  if (typeof result === 'string') {
    totals[result] += 1;
  } else {
    totals.failed += 1;
    onFault(place, result.fault);
  }
  onProgress();
}

/**
 * Writes a group. When that fails, writes its items one by one, so that only the faulty ones are left out.
 *
 * @param conflicts collects the rows whose djstripe_id another session has. Without it they get a new djstripe_id.
 */
async function writeGroup(
  group: readonly PlacedItem[],
  options: ImportOptions,
  conflicts?: PlacedItem[],
): Promise<void> {
  if (group.length === 0) return;
  let results: Result[];
  try {
    results = await writeItems(group, options, conflicts === undefined);
  } catch (error) {
    if (databaseProblem(error)?.code === 'database-unavailable') throw error;
    if (group.length > 1) {
      for (const placed of group) await writeGroup([placed], options, conflicts);
      return;
    }
    results = [{ fault: `cannot be stored: ${(error as Error).message}` }];
  }
  for (const [index, placed] of group.entries()) {
    const result = results[index] as Result;
    if (result === 'conflict') conflicts?.push(placed);
    else record(result, placed.place, options);
  }
}

/** Writes items of one kind, and returns their results in the same order. */
async function writeItems(group: readonly PlacedItem[], options: ImportOptions, renumber: boolean): Promise<Result[]> {
  const { ingest, transfer, restore, account } = options;
  const items = group.map(({ item }) => item);
  const [first] = items;
  if (!first) return [];
  switch (first.kind) {
    case 'object': {
      const objects = items.flatMap((item) => (item.kind === 'object' ? [item.object] : []));
      const results = await ingest.snapshots(objects.map((object) => ({ object, account, second: createdOf(object) })));
      return results.map(({ outcome }) => outcomeOf[outcome]);
    }
    case 'delivery': {
      const bodies = items.flatMap((item) => (item.kind === 'delivery' ? [item.body] : []));
      if (!restore) return (await Promise.all(bodies.map(ingest.event))).map(({ outcome }) => outcomeOf[outcome]);
      // A restoring ingest runs a transaction for each event, so one after the other.
      const results: Outcome[] = [];
      for (const body of bodies) results.push(outcomeOf[(await ingest.event(body)).outcome]);
      return results;
    }
    case 'sequence':
      return Promise.all(
        items.map(async ({ djstripeId = 0 }) => (await transfer.sequence(djstripeId)).outcome as Outcome),
      );
    case 'session': {
      const results = await transfer.sessions(rowsOf(items), { restore, renumber });
      return results.map((result, index) => sessionResult(group[index] as PlacedItem, result, options));
    }
    default: {
      const table = ({ tombstone: 'tombstones', event: 'ledger', progress: 'progress' } as const)[first.kind];
      return (await transfer[table](rowsOf(items))).map(({ outcome }) => outcome as Outcome);
    }
  }
}

const rowsOf = (items: readonly ImportItem[]) => items.flatMap((item) => ('json' in item ? [item] : []));

function sessionResult(
  { place, item }: PlacedItem,
  { outcome, holder, newDjstripeId }: RowResult,
  { keepNumbers, onRenumbered }: ImportOptions,
): Result {
  const djstripeId = item.djstripeId as number;
  if (outcome === 'applied' && holder && newDjstripeId) {
    onRenumbered?.(place, { id: item.key, djstripeId, newDjstripeId, holder });
  }
  if (outcome !== 'conflict') return outcome;
  if (!item.isExact && !keepNumbers) return 'conflict';
  const reason = item.isExact ? ': a full export is restored exactly, into a database without other sessions' : '';
  return { fault: `has the djstripe_id ${djstripeId}, which ${holder} has here${reason}` };
}

const outcomeOf: Readonly<Record<IngestResult['outcome'], Outcome>> = {
  applied: 'applied',
  stale: 'unchanged',
  duplicate: 'unchanged',
  deleted: 'deleted',
  ignored: 'ignored',
};

/**
 * Returns the second that stamps a raw object: its `created`, as nothing else dates its state. API versions before 2022
 * lack it.
 */
function createdOf({ created }: JsonObject): number {
  return Number.isSafeInteger(created) ? (created as number) : 0;
}
