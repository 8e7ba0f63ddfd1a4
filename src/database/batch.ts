import type { Statement } from './engine/database.js';
import { isLockTimeout, isRefusal, isTimeout } from './engine/sqlstate.js';

/** Several requests in one statement: one round trip, one plan, one commit. */

/** Told how many requests one statement served, by its kind. */
export type BatchObserver = (kind: string, size: number) => void;

/** How long a statement may wait for locks. */
export type LockLimit = Pick<Statement, 'lockTimeout'>;

export interface BatchOptions<Item, Result> {
  /** Runs what was gathered, in one statement that has the limit; resolves to a result for each, in their order. */
  readonly run: (items: readonly Item[], limit: LockLimit) => Promise<readonly Result[]>;
  /** Two items of one key are never in the same batch. */
  readonly keyOf?: (item: Item) => string;
  /**
   * How many parts what is asked for is in: with 2, one is with the database and one in this process; with 3, another is
   * on its way from the clients.
   */
  readonly parts: 2 | 3;
  /** So few items are one batch: a second one would cost more than what it gains. */
  readonly smallest: number;
  /** Items at most. */
  readonly maxSize: number;
  /** Batches at once, as many as wait for longer than {@link patience}; each takes a connection. */
  readonly most: number;
  /**
   * Whether the next batch is with the database before this one is answered: for what takes the database longer than its
   * answers take this process.
   */
  readonly sendsFirst?: boolean;
  /** Told of the size of each batch. */
  readonly onBatch?: ((size: number) => void) | undefined;
}

/**
 * How writes of one kind are gathered. Two batches at once: all four kinds, where each waits for a lock, leave some of ten
 * connections to reads.
 */
export const writeBatch = { parts: 2, smallest: 4, maxSize: 100, most: 2 } as const;

interface Waiting<Item, Result> {
  readonly item: Item;
  /** Whether the item ran alone before, and its row was locked. */
  readonly wasLocked?: boolean;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds that a batch holds back the next one. What takes longer waits: for a lock, or for a server that is far. */
const patience = 20;

/** Milliseconds that an item of a refused batch waits for a lock. The commit of another write takes a few. */
const aloneLockTimeout = 100;

/** What each batch leaves of how many were asked for at once before it. */
const forgetting = 0.98;

/**
 * Gathers what is asked for while the batch before is under way. Nothing is kept: a batch starts after everything in it
 * was asked for, so a read sees all that was acknowledged before it.
 *
 * Of many a batch is a part of what is asked for, and the next one is begun before it is answered: the database works for
 * one part while this process reads and answers the requests of another. With all of them in one batch each would wait
 * while the other works.
 *
 * @returns the function that asks for one item. It fails with what its own item is at fault for: when the database
 *   refuses a batch, each item runs alone.
 */
export function batching<Item, Result>(options: BatchOptions<Item, Result>): (item: Item) => Promise<Result> {
  const { run, keyOf, parts, smallest, maxSize, most, sendsFirst = false, onBatch } = options;
  let queue: Waiting<Item, Result>[] = [];
  /** Items without an outcome. */
  let asked = 0;
  /** The most that lately were asked for at once. */
  let usual = 0;
  let running = 0;
  /** The batch that the next one waits for. */
  let current: readonly Waiting<Item, Result>[] | undefined;
  let late: NodeJS.Timeout | undefined;
  let isScheduled = false;

  const part = () => Math.min(maxSize, Math.max(smallest, Math.ceil(usual / parts)));
  const mayBegin = () => current === undefined && running < most && queue.length > 0;

  function schedule(): void {
    if (isScheduled || !mayBegin()) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      begin();
    });
  }

  function begin(): void {
    if (!mayBegin()) return;
    usual = Math.max(asked, usual * forgetting);
    const batch = take(part());
    running += 1;
    current = batch;
    // One timer for all batches: to make one and clear it takes longer than all else here.
    late = late?.refresh() ?? setTimeout(() => letNext(current), patience).unref();
    onBatch?.(batch.length);
    void outcome(batch).then((answer) => {
      const end = () => {
        running -= 1;
        letNext(batch);
        asked -= batch.length;
        // A statement is sent some promises after it is begun, and those of an answer may be fewer.
        if (sendsFirst && current) setImmediate(answer);
        else answer();
      };
      // What arrived together with the outcome is read first, so that the next batch is begun before this one is answered. A
      // lone request has nothing to wait for.
      if (asked > 1) setImmediate(end);
      else end();
    });
  }

  /** What is done once a batch holds back the next one no longer. */
  function letNext(batch: typeof current): void {
    if (current === batch) current = undefined;
    begin();
  }

  /** The first of the queue, in their order, without the second of a key. */
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

  /** Resolves to the function that answers a batch; items that were run by themselves are answered already. */
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
   * One row may be locked for long. Its lock must not fail the other items, nor delay each of them by a statement timeout.
   * So an item waits for a lock only briefly here. After a timeout of the batch it has waited long enough, and fails. After
   * any other refusal it has not waited yet, and joins a later batch, which waits up to the statement timeout.
   *
   * After a timeout the items that are locked or slow together take no longer than the batch took. The rest fails as the
   * batch did: the whole table may be locked, or every item may be slow.
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

  function enqueue(waiting: Waiting<Item, Result>): void {
    queue.push(waiting);
    asked += 1;
    // The database begins with one part while the requests of the next are still read.
    if (queue.length >= part()) begin();
    else schedule();
  }

  return (item) => new Promise((resolve, reject) => enqueue({ item, resolve, reject }));
}

/**
 * Lets what is asked for alike in one turn of the event loop share one answer, which is worked out after all of it was
 * asked for. Nothing is kept.
 */
export function sharing<Item, Result>(
  run: (item: Item) => Promise<Result>,
  keyOf: (item: Item) => string,
): (item: Item) => Promise<Result> {
  let turn: { readonly end: Promise<void>; readonly results: Map<string, Promise<Result>> } | undefined;

  function begin() {
    // A map for each turn. One for all would hold on to what was deleted from it: V8 chains the tables a map has outgrown,
    // and a chain in the old space keeps what it refers to until the next full collection.
    const end = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      turn = undefined;
    });
    return { end, results: new Map<string, Promise<Result>>() };
  }

  return (item) => {
    turn ??= begin();
    const { end, results } = turn;
    const key = keyOf(item);
    const shared = results.get(key);
    if (shared) return shared;
    const result = end.then(() => run(item));
    results.set(key, result);
    return result;
  };
}

/**
 * Repeats a write that found a session neither there nor not there, as another one made or deleted it meanwhile.
 *
 * @param work resolves to undefined for that.
 */
export async function decided<Value>(work: () => Promise<Value | undefined>): Promise<Value> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const value = await work();
    if (value !== undefined) return value;
  }
  throw new Error('a session was created and deleted too often to write it');
}
