import type { BatchOptions } from './batch.js';
import { isLockTimeout, isRefusal, isTimeout } from './engine/sqlstate.js';

/** Runs the items of a batch that the database refused, so that one bad item does not fail the others. */

export interface QueuedItem<Item, Result> {
  readonly item: Item;
  /** Whether the item ran alone before and found its row locked. */
  readonly wasLocked?: boolean;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface RefusedBatch<Item, Result> {
  /** The error of the batch. */
  readonly refusal: unknown;
  /** Milliseconds until the batch was refused. */
  readonly elapsed: number;
  readonly run: BatchOptions<Item, Result>['run'];
  /** Adds an item to the queue of a later batch. */
  readonly enqueue: (queued: QueuedItem<Item, Result>) => void;
}

/** Milliseconds for which an item waits for a lock. Another write commits in a few milliseconds. */
const lockTimeout = 100;

/**
 * Runs the items of a refused batch one after the other and settles each at once. They take one connection, as the batch did: a
 * hundred at once would take the whole pool.
 *
 * Another transaction may hold the lock of one row for long. That lock must not fail the other items, nor delay each of them by
 * a statement timeout. So each item waits only briefly for a lock here. If the batch timed out, a locked item has waited long
 * enough and fails. After any other refusal it joins a later batch, which waits up to the statement timeout.
 *
 * If the batch timed out, the slow items together get as much time as the batch took. After that the remaining items fail with
 * the batch's error: the whole table may be locked, or every item may be slow.
 */
export async function runAlone<Item, Result>(
  batch: readonly QueuedItem<Item, Result>[],
  { refusal, elapsed, run, enqueue }: RefusedBatch<Item, Result>,
): Promise<void> {
  const isLate = isTimeout(refusal);
  let timeLeft = isLate ? elapsed : Number.POSITIVE_INFINITY;
  let failure: unknown;
  for (const queued of batch) {
    if (timeLeft <= 0) failure ??= refusal;
    if (failure !== undefined) {
      queued.reject(failure);
      continue;
    }
    const startedAt = Date.now();
    failure = await runOne(queued);
    const took = Date.now() - startedAt;
    if (took >= lockTimeout) timeLeft -= took;
  }

  /** Returns a failure that all other items would meet too, such as a lost connection. */
  async function runOne(queued: QueuedItem<Item, Result>): Promise<unknown> {
    try {
      const [result] = await run([queued.item], { lockTimeout });
      queued.resolve(result as Result);
    } catch (error) {
      const mayRetry = isLockTimeout(error) && !isLate && !queued.wasLocked;
      if (mayRetry) enqueue({ ...queued, wasLocked: true });
      else queued.reject(error);
      if (!isRefusal(error)) return error;
    }
    return undefined;
  }
}
