import { databaseProblem } from '../database/failures.js';
import type { RowOutcome, TransferStore } from '../database/transfer.js';
import type { Element } from './import-elements.js';
import type { Item } from './import-items.js';
import type { Ingest, Ingested } from './ingest.js';

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
  /** Whether sessions that were deleted here come back. */
  readonly restore: boolean;
  /** The account of Stripe objects, which do not say it; the configured one when undefined. */
  readonly account?: string | undefined;
  readonly totals: ImportTotals;
  /** Told of each element that cannot be taken in. */
  readonly onFault: (place: string, fault: string) => void;
  readonly onProgress: () => void;
}

interface Placed {
  readonly place: string;
  readonly item: Item;
}

type Counted = Exclude<keyof ImportTotals, 'read' | 'bad'>;
type Result = Counted | { readonly fault: string };

const groupSize = 500;

export function newTotals(): ImportTotals {
  return { read: 0, applied: 0, unchanged: 0, deleted: 0, ignored: 0, bad: 0 };
}

/**
 * Takes in elements in their order, in groups: the next one is read while one is written. What cannot be taken in
 * is reported, and the rest goes on. Running it again is harmless.
 *
 * @throws when the database is not there any more.
 */
export async function importElements(elements: AsyncIterable<Element>, options: ImportOptions): Promise<void> {
  const { totals } = options;
  let group: Placed[] = [];
  let keys = new Set<string | number>();
  let writing: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    const next = group;
    group = [];
    keys = new Set();
    await writing;
    writing = writeGroup(next, options);
    // Awaited before the next group; until then a failure is not unhandled.
    writing.catch(() => {});
  }

  for await (const { place, read } of elements) {
    totals.read += 1;
    if ('fault' in read || 'ignored' in read) {
      settle('fault' in read ? read : 'ignored', place, options);
      continue;
    }
    const { kind, key, djstripeId } = read;
    const fits =
      group.length < groupSize &&
      (group[0] === undefined || group[0].item.kind === kind) &&
      !keys.has(key) &&
      (djstripeId === undefined || !keys.has(djstripeId));
    if (!fits) await flush();
    group.push({ place, item: read });
    keys.add(key);
    if (djstripeId !== undefined) keys.add(djstripeId);
  }
  await flush();
  await writing;
}

function settle(result: Result, place: string, { totals, onFault, onProgress }: ImportOptions): void {
  if (typeof result === 'string') {
    totals[result] += 1;
  } else {
    totals.bad += 1;
    onFault(place, result.fault);
  }
  onProgress();
}

/** Writes a group as one; when that fails, one by one, so that only what is at fault is left out. */
async function writeGroup(group: readonly Placed[], options: ImportOptions): Promise<void> {
  if (group.length === 0) return;
  let results: Result[];
  try {
    results = await write(
      group.map(({ item }) => item),
      options,
    );
  } catch (error) {
    if (databaseProblem(error)?.code === 'database-unavailable') throw error;
    if (group.length > 1) {
      for (const placed of group) await writeGroup([placed], options);
      return;
    }
    results = [{ fault: `cannot be stored: ${(error as Error).message}` }];
  }
  for (const [index, { place }] of group.entries()) settle(results[index] as Result, place, options);
}

/** Writes items of one kind; what became of each, in their order. */
async function write(items: readonly Item[], options: ImportOptions): Promise<Result[]> {
  const { ingest, transfer, restore, account } = options;
  const [first] = items;
  if (!first) return [];
  if (restore && ['object', 'delivery', 'session'].includes(first.kind)) {
    await transfer.revive(items.map(({ key }) => key));
  }
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
      const ingested = await Promise.all(bodies.map((body) => ingest.event(body)));
      return ingested.map(({ outcome }) => counted[outcome]);
    }
    case 'sequence':
      return Promise.all(
        items.map(async ({ djstripeId = 0 }) => (await transfer.sequence(djstripeId)).outcome as Counted),
      );
    default: {
      const rows = items.flatMap((item) => ('json' in item ? [item] : []));
      const table = ({ session: 'sessions', tombstone: 'tombstones', event: 'ledger', progress: 'progress' } as const)[
        first.kind
      ];
      const written = await transfer[table](rows);
      return written.map(({ outcome, holder }, index) => rowResult(outcome, holder, rows[index]?.djstripeId));
    }
  }
}

function rowResult(outcome: RowOutcome, holder: string | null | undefined, djstripeId: number | undefined): Result {
  return outcome === 'taken' ? { fault: `has the djstripe_id ${djstripeId}, which ${holder} has here` } : outcome;
}

const counted: Readonly<Record<Ingested['outcome'], Counted>> = {
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
