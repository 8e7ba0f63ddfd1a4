import type { Statement } from './engine/database.js';
import { isLockTimeout, isRefusal, isTimeout } from './engine/sqlstate.js';

/** Runs several requests in one statement: one round trip, one plan, one commit. */

/** Observes how many requests one statement served, by its kind. */
export type BatchObserver = (kind: string, size: number) => void;

/** How long a statement may wait for a lock. */
export type LockLimit = Pick<Statement, 'lockTimeout'>;

/** How items of one kind are gathered. */
export interface BatchOptions<Item, Result> {
  /** Runs one batch in one statement with the lock limit. Resolves to a result for each item, in order. */
  readonly run: (items: readonly Item[], limit: LockLimit) => Promise<readonly Result[]>;
  /** Maximum number of items in a batch. */
  readonly maxSize: number;
  /** Maximum number of batches in flight. Each takes a connection. A second one starts only while the first is slow. */
  readonly concurrency: number;
  /** Returns the key of an item. A batch never holds two items with the same key. */
  readonly keyOf?: (item: Item) => string;
  /** Observes the size of each batch. */
  readonly onBatch?: ((size: number) => void) | undefined;
}

/** For reads by id. */
export const readBatch = { maxSize: 500, concurrency: 4 } as const;

/** For each kind of write. While all four kinds wait for locks, two of the ten connections are left to reads. */
export const writeBatch = { maxSize: 100, concurrency: 2 } as const;

interface Waiting<Item, Result> {
  readonly item: Item;
  /** Whether the item ran alone before and found its row locked. */
  readonly wasLocked?: boolean;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Items that are not split: another statement costs more than the overlap gains. */
const minShare = 4;

/** Milliseconds after which a batch is slow and no longer holds the next one back. It waits for a lock or a distant server. */
const slowAfter = 20;

/** Milliseconds that an item of a refused batch waits for a lock. Another write commits in a few. */
const aloneLockTimeout = 100;

/**
 * Returns a function that runs one item, in a batch with the others that are asked for at the time.
 *
 * How Node and PostgreSQL overlap: a batch starts when no other one holds it back, with half of the outstanding items.
 * While the database works on it, this process reads the requests of the other half. When the result arrives, the other
 * half is sent first. Then this process writes the answers while the database works again. With all items in one batch,
 * each side would wait for the other. A lone item finds nothing in flight and starts at once.
 *
 * A batch holds the next one back until its result arrives or it is slow. A slow batch waits for a lock or for a server
 * that is far away, and its wait must not delay the others.
 *
 * A batch starts after all its items were asked for and nothing is kept, so a read sees every write that was acknowledged
 * before it.
 *
 * Rejected, with answers per second at 32 and at 128 connections as the ratio to shares of the recent peak load, thirds for
 * reads, which this replaces (two cores, PostgreSQL and Node together):
 * - two batches in flight, each of all that is queued: creates 0.88 and 0.92, reads 1.01 and 0.95
 * - two halves in flight: creates 0.86 and 0.97, reads 1.16 and 0.87
 * - three batches in flight: creates 0.81 and 0.81, reads 1.08 and 0.76
 *
 * Against the same, one half in flight gave creates 1.02 and 0.99, reads 0.84 and 1.14, with four options less.
 *
 * @returns a function that fails only for its own item: when the database refuses a batch, each item runs alone.
 */
export function batching<Item, Result>(options: BatchOptions<Item, Result>): (item: Item) => Promise<Result> {
  const { run, maxSize, concurrency, keyOf, onBatch } = options;
  let queue: Waiting<Item, Result>[] = [];
  /** Items that are queued or in flight. */
  let outstanding = 0;
  /** Batches in flight. */
  let inFlight = 0;
  /** The batch that the next one waits for: the newest in flight, until it is slow. */
  let holder: readonly Waiting<Item, Result>[] | undefined;
  let slowTimer: NodeJS.Timeout | undefined;

  function enqueue(waiting: Waiting<Item, Result>): void {
    queue.push(waiting);
    outstanding += 1;
    pump();
  }

  function pump(): void {
    if (holder || inFlight >= concurrency || queue.length === 0) return;
    const batch = take(Math.min(maxSize, Math.max(minShare, Math.ceil(outstanding / 2))));
    holder = batch;
    inFlight += 1;
    // One timer for all batches: creating and clearing one for each costs more than the rest of this function.
    slowTimer = slowTimer?.refresh() ?? setTimeout(() => release(holder), slowAfter).unref();
    onBatch?.(batch.length);
    void outcome(batch).then((answer) => {
      // Read the requests that arrived together with the outcome first: they join the next batch.
      if (outstanding > 1) setImmediate(() => finish(batch, answer));
      else finish(batch, answer);
    });
  }

  function finish(batch: readonly Waiting<Item, Result>[], answer: () => void): void {
    inFlight -= 1;
    release(batch);
    outstanding -= batch.length;
    // The next batch is sent some promises after it starts. Answer after that.
    if (holder) setImmediate(answer);
    else answer();
  }

  /** Lets the next batch start. */
  function release(batch: typeof holder): void {
    if (holder === batch) holder = undefined;
    pump();
  }

  /** Takes the first items of the queue, in order, without the second of a key. */
  function take(size: number): Waiting<Item, Result>[] {
    if (!keyOf) return queue.splice(0, size);
    const keys = new Set<string>();
    const batch: Waiting<Item, Result>[] = [];
    const rest: Waiting<Item, Result>[] = [];
    for (const waiting of queue) {
      const key = keyOf(waiting.item);
      if (keys.has(key) || batch.length === size) rest.push(waiting);
      else batch.push(waiting);
      keys.add(key);
    }
    queue = rest;
    return batch;
  }

  /** Runs a batch. Resolves to the function that answers its items; those that ran alone are answered already. */
  async function outcome(batch: readonly Waiting<Item, Result>[]): Promise<() => void> {
    const began = Date.now();
    try {
      const results = await run(
        batch.map(({ item }) => item),
        {},
      );
      return () => {
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
      };
    } catch (error) {
      if (batch.length > 1 && isRefusal(error)) {
        await runAlone(batch, error, Date.now() - began);
        return () => {};
      }
      return () => {
        for (const { reject } of batch) reject(error);
      };
    }
  }

  /**
   * Runs the items of a refused batch one after the other, and answers each as soon as it is done. They take one
   * connection, as the batch did: a hundred at once would take the whole pool.
   *
   * One row may be locked for long. Its lock must neither fail the other items nor delay each of them by a statement
   * timeout, so an item waits only briefly for a lock here. If the batch timed out, the item has waited long enough and
   * fails. After any other refusal it has not waited yet and joins a later batch, which waits up to the statement timeout.
   *
   * If the batch timed out, the slow items together get as long as the batch took. The rest then fails as the batch did:
   * the whole table may be locked, or every item may be slow.
   *
   * @param took milliseconds until the batch was refused.
   */
  async function runAlone(batch: readonly Waiting<Item, Result>[], refusal: unknown, took: number): Promise<void> {
    let left = isTimeout(refusal) ? took : Number.POSITIVE_INFINITY;
    let failure: unknown;
    for (const waiting of batch) {
      if (left <= 0) failure ??= refusal;
      if (failure !== undefined) {
        waiting.reject(failure);
        continue;
      }
      const began = Date.now();
      failure = await runOne(waiting, isTimeout(refusal));
      const elapsed = Date.now() - began;
      if (elapsed >= aloneLockTimeout) left -= elapsed;
    }
  }

  /** Runs one item of a refused batch. Returns the failure that the others would meet too, such as a lost connection. */
  async function runOne(waiting: Waiting<Item, Result>, isLate: boolean): Promise<unknown> {
    try {
      const [result] = await run([waiting.item], { lockTimeout: aloneLockTimeout });
      waiting.resolve(result as Result);
    } catch (error) {
      const isAgain = isLockTimeout(error) && !isLate && !waiting.wasLocked;
      if (isAgain) enqueue({ ...waiting, wasLocked: true });
      else waiting.reject(error);
      if (!isRefusal(error)) return error;
    }
    return undefined;
  }

  return (item) => new Promise((resolve, reject) => enqueue({ item, resolve, reject }));
}
