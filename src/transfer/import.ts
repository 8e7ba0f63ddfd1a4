import { databaseProblem } from '../database/engine/sqlstate.js';
import type { Ingest, IngestResult } from '../stripe/ingest.js';
import type { ImportEntry } from './ndjson.js';
import type { ImportItem } from './records.js';
import type { RowResult, TransferStore } from './store.js';

/** What became of all that was read. The others add up to `read`. */
export interface ImportTotals {
  read: number;
  /** Written. */
  applied: number;
  /** Here already, or newer here. */
  unchanged: number;
  /** Of sessions that were deleted here. */
  deleted: number;
  /** Of the mode that is not taken in, or events of another type. */
  ignored: number;
  /** Could not be taken in. */
  bad: number;
}

export interface ImportOptions {
  readonly ingest: Ingest;
  readonly transfer: TransferStore;
  /** Whether sessions that were deleted here come back; the mirror of `ingest` must bring them back too. */
  readonly restore: boolean;
  /** Whether a row whose djstripe_id another session has is at fault, rather than taken in under another number. */
  readonly keepNumbers?: boolean;
  /** The account of Stripe objects, which do not say it; the configured one when undefined. */
  readonly account?: string | undefined;
  readonly totals: ImportTotals;
  /** Told of each element that cannot be taken in. */
  readonly onFault: (place: string, fault: string) => void;
  /** Told of each row that was taken in under another number than its own. */
  readonly onRenumbered?: (place: string, renumbered: Renumbered) => void;
  readonly onProgress: () => void;
}

/** A session that does not have its own djstripe_id here, because another session has it. */
export interface Renumbered {
  readonly id: string;
  readonly djstripeId: number;
  readonly number: string;
  readonly holder: string;
}

interface Placed {
  readonly place: string;
  readonly item: ImportItem;
}

type Counted = Exclude<keyof ImportTotals, 'read' | 'bad'>;
type Result = Counted | { readonly fault: string } | 'conflict';

const groupSize = 500;

/** How many rows wait at most for numbers of their own. */
const maxWaiting = 20_000;

export function newTotals(): ImportTotals {
  return { read: 0, applied: 0, unchanged: 0, deleted: 0, ignored: 0, bad: 0 };
}

/**
 * Takes in elements in their order, in groups: the next one is read while one is written. What cannot be taken in
 * is reported, and the rest goes on. Running it again is harmless.
 *
 * A row whose djstripe_id another session has waits until the others are written. Then the other session may have moved
 * to its own number, and a number that is new belongs to no row that is still to come.
 *
 * @throws when the database is not there any more.
 */
export async function importEntries(entries: AsyncIterable<ImportEntry>, options: ImportOptions): Promise<void> {
  const { totals } = options;
  const waiting: Placed[] = [];
  const groups = grouped((group) => writeGroup(group, options, waiting));
  for await (const { place, parsed } of entries) {
    totals.read += 1;
    if ('fault' in parsed || 'ignored' in parsed) {
      settle('fault' in parsed ? parsed : 'ignored', place, options);
      continue;
    }
    await groups.add({ place, item: parsed });
    if (waiting.length >= maxWaiting) await renumber(waiting.splice(0), options);
  }
  await groups.end();
  await renumber(waiting, options);
}

async function renumber(rows: readonly Placed[], options: ImportOptions): Promise<void> {
  const groups = grouped((group) => writeGroup(group, options));
  for (const row of rows) await groups.add(row);
  await groups.end();
}

/** Puts items of one kind, no two of the same session or djstripe_id, into groups, and writes one at a time. */
function grouped(write: (group: readonly Placed[]) => Promise<void>) {
  let group: Placed[] = [];
  let keys = new Set<string | number>();
  let writing: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    const next = group;
    group = [];
    keys = new Set();
    await writing;
    writing = write(next);
    // Awaited before the next group; until then a failure is not unhandled.
    writing.catch(() => {});
  }

  return {
    async add(placed: Placed): Promise<void> {
      const { kind, key, djstripeId } = placed.item;
      const fits =
        group.length < groupSize &&
        (group[0] === undefined || group[0].item.kind === kind) &&
        !keys.has(key) &&
        (djstripeId === undefined || !keys.has(djstripeId));
      if (!fits) await flush();
      group.push(placed);
      keys.add(key);
      if (djstripeId !== undefined) keys.add(djstripeId);
    },
    async end(): Promise<void> {
      await flush();
      await writing;
    },
  };
}

function settle(
  result: Exclude<Result, 'conflict'>,
  place: string,
  { totals, onFault, onProgress }: ImportOptions,
): void {
  if (typeof result === 'string') {
    totals[result] += 1;
  } else {
    totals.bad += 1;
    onFault(place, result.fault);
  }
  onProgress();
}

/**
 * Writes a group as one; when that fails, one by one, so that only what is at fault is left out.
 *
 * @param waiting takes the rows whose djstripe_id another session has; without it they get another number.
 */
async function writeGroup(group: readonly Placed[], options: ImportOptions, waiting?: Placed[]): Promise<void> {
  if (group.length === 0) return;
  let results: Result[];
  try {
    results = await write(group, options, waiting === undefined);
  } catch (error) {
    if (databaseProblem(error)?.code === 'database-unavailable') throw error;
    if (group.length > 1) {
      for (const placed of group) await writeGroup([placed], options, waiting);
      return;
    }
    results = [{ fault: `cannot be stored: ${(error as Error).message}` }];
  }
  for (const [index, placed] of group.entries()) {
    const result = results[index] as Result;
    if (result === 'conflict') waiting?.push(placed);
    else settle(result, placed.place, options);
  }
}

/** Writes items of one kind; what became of each, in their order. */
async function write(group: readonly Placed[], options: ImportOptions, renumber: boolean): Promise<Result[]> {
  const { ingest, transfer, restore, account } = options;
  const items = group.map(({ item }) => item);
  const [first] = items;
  if (!first) return [];
  switch (first.kind) {
    case 'object': {
      const snapshots = items.flatMap((item) => (item.kind === 'object' ? [item.object] : []));
      const ingested = await ingest.snapshots(
        snapshots.map((object) => ({ object, account, second: createdOf(object) })),
      );
      return ingested.map(({ outcome }) => counted[outcome]);
    }
    case 'delivery': {
      const bodies = items.flatMap((item) => (item.kind === 'delivery' ? [item.body] : []));
      // Restored one by one: each is a transaction of its own.
      if (!restore) return (await Promise.all(bodies.map(ingest.event))).map(({ outcome }) => counted[outcome]);
      const results: Counted[] = [];
      for (const body of bodies) results.push(counted[(await ingest.event(body)).outcome]);
      return results;
    }
    case 'sequence':
      return Promise.all(
        items.map(async ({ djstripeId = 0 }) => (await transfer.sequence(djstripeId)).outcome as Counted),
      );
    case 'session': {
      const written = await transfer.sessions(rowsOf(items), { restore, renumber });
      return written.map((result, index) => sessionResult(group[index] as Placed, result, options));
    }
    default: {
      const table = ({ tombstone: 'tombstones', event: 'ledger', progress: 'progress' } as const)[first.kind];
      return (await transfer[table](rowsOf(items))).map(({ outcome }) => outcome as Counted);
    }
  }
}

const rowsOf = (items: readonly ImportItem[]) => items.flatMap((item) => ('json' in item ? [item] : []));

function sessionResult(
  { place, item }: Placed,
  result: RowResult,
  { keepNumbers, onRenumbered }: ImportOptions,
): Result {
  const { outcome, holder, number } = result;
  const djstripeId = item.djstripeId as number;
  if (outcome === 'applied' && holder && number) {
    onRenumbered?.(place, { id: item.key, djstripeId, number, holder });
  }
  if (outcome !== 'conflict') return outcome;
  if (!item.isExact && !keepNumbers) return 'conflict';
  const why = item.isExact ? ': a full export is restored exactly, into a database without other sessions' : '';
  return { fault: `has the djstripe_id ${djstripeId}, which ${holder} has here${why}` };
}

const counted: Readonly<Record<IngestResult['outcome'], Counted>> = {
  applied: 'applied',
  stale: 'unchanged',
  duplicate: 'unchanged',
  deleted: 'deleted',
  ignored: 'ignored',
};

/** When a raw object was made: nothing else says how old its state is. Versions before 2022 do not say even that. */
function createdOf({ created }: Readonly<Record<string, unknown>>): number {
  return Number.isSafeInteger(created) ? (created as number) : 0;
}
