import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { batching, type LockLimit } from '../../src/database/batch.js';
import { sharePerTurn } from '../../src/database/list/share-per-turn.js';
import { testDatabase } from '../support/database.js';

const database = await testDatabase();

/** Divides ten by each divisor in one SQL statement, which a zero divisor fails. */
async function divideTenBy(divisors: readonly number[]): Promise<number[]> {
  const rows = await database.query<{ quotient: number }>({
    text: 'SELECT 10 / divisor AS quotient FROM unnest($1::integer[]) WITH ORDINALITY AS r (divisor, position) ORDER BY position',
    values: [divisors],
  });
  return rows.map(({ quotient }) => quotient);
}

interface Options {
  maxSize?: number;
  keyOf?: (item: number) => string;
  run?: (items: readonly number[], limit: LockLimit) => Promise<readonly number[]>;
}

function createBatch({ maxSize = 100, run = divideTenBy, ...options }: Options = {}) {
  const sizes: number[] = [];
  const ask = batching<number, number>({
    ...options,
    run,
    maxSize,
    concurrency: 4,
    onBatch: (size) => sizes.push(size),
  });
  return { ask, sizes };
}

test('a lone item runs at once, and the rest of its turn in one statement', async () => {
  const { ask, sizes } = createBatch();
  expect(await Promise.all([1, 2, 5, 2].map(ask))).toEqual([10, 5, 2, 5]);
  expect(sizes).toEqual([1, 3]);
  expect(await ask(10)).toBe(1);
  expect(sizes).toEqual([1, 3, 1]);
});

test('one failing item does not fail the others of its batch', async () => {
  const { ask } = createBatch();
  const settled = await Promise.allSettled([1, 0, 5].map(ask));
  expect(settled).toMatchObject([
    { status: 'fulfilled', value: 10 },
    { status: 'rejected', reason: { code: '22012' } },
    { status: 'fulfilled', value: 2 },
  ]);
});

test.each(['57P01', '08006', '53300', 'XX000', 'EPIPE', 'ECONNRESET', undefined])(
  'a batch that fails with %s is not retried, because it may have been committed',
  async (code) => {
    let runs = 0;
    const run = async () => {
      runs += 1;
      throw Object.assign(new Error('gone'), { code });
    };
    const { ask } = createBatch({ run });
    const settled = await Promise.allSettled([1, 2, 5].map(ask));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(runs).toBe(2);
  },
);

test('a batch never exceeds its maximum, and every item gets its own answer', async () => {
  const { ask, sizes } = createBatch({ maxSize: 3 });
  expect(await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index + 1)))).toEqual([
    10, 5, 3, 2, 2, 1, 1, 1, 1, 1,
  ]);
  expect(sizes).toEqual([1, 3, 3, 3]);
});

/** Builds a `run` in which the item 10 waits for the unlock or its lock timeout. */
function locking() {
  let unlock = () => {};
  const unlocked = new Promise<void>((resolve) => {
    unlock = resolve;
  });
  const run = async (items: readonly number[], { lockTimeout }: LockLimit) => {
    if (items.includes(0) && items.length > 1) return divideTenBy(items);
    if (items.includes(10))
      await (lockTimeout ? Promise.race([unlocked, refusedAfter(lockTimeout, '55P03')]) : unlocked);
    return divideTenBy(items);
  };
  return { run, unlock: () => unlock() };
}

/** Fails with an SQLSTATE after some milliseconds. */
async function refusedAfter(milliseconds: number, code: string): Promise<never> {
  await setTimeout(milliseconds);
  throw Object.assign(new Error('refused'), { code });
}

test('the items of a refused batch are retried one after another', async () => {
  let running = 0;
  let most = 0;
  const run = async (items: readonly number[]) => {
    running += 1;
    most = Math.max(most, running);
    try {
      return await divideTenBy(items);
    } finally {
      running -= 1;
    }
  };
  const { ask } = createBatch({ run });
  const settled = await Promise.allSettled([1, 2, 0, 5].map(ask));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(most).toBe(1);
});

test('after a statement timeout the retries stop once they took as long as their batch', async () => {
  let alone = 0;
  const run = async (items: readonly number[]) => {
    if (items.length > 1) return refusedAfter(250, '57014');
    alone += 1;
    return refusedAfter(110, '55P03');
  };
  const { ask } = createBatch({ run });
  const began = Date.now();
  const settled = await Promise.allSettled([1, 2, 5, 10, 4].map(ask));
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(
    expect.arrayContaining(['55P03', '57014']),
  );
  expect(alone).toBeLessThan(5);
  expect(Date.now() - began).toBeLessThan(3000);
});

test('when the connection fails during the retries, the remaining items fail at once', async () => {
  let runs = 0;
  const run = async (items: readonly number[]) => {
    runs += 1;
    return refusedAfter(0, items.length > 1 ? '22012' : '08006');
  };
  const { ask } = createBatch({ run });
  const settled = await Promise.allSettled([1, 2, 5].map(ask));
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(['08006', '08006', '08006']);
  expect(runs).toBe(3);
});

test('during the retries each item is answered as soon as it is done', async () => {
  const { run, unlock } = locking();
  const { ask } = createBatch({ run });
  const [, locked, refused, free] = [5, 10, 0, 2].map(ask);
  await expect(refused).rejects.toMatchObject({ code: '22012' });
  expect(await free).toBe(5);
  unlock();
  expect(await locked).toBe(1);
});

test('a batch takes half of the outstanding items, so that database and process work at the same time', async () => {
  const { ask, sizes } = createBatch();
  await Promise.all(Array.from({ length: 13 }, (_, index) => ask(index + 1)));
  expect(sizes).toEqual([1, 7, 5]);
});

test('the next batch is sent before the previous batch is answered', async () => {
  const order: string[] = [];
  const run = async (items: readonly number[]) => {
    // More microtask turns than answering takes.
    for (let step = 0; step < 20; step += 1) await undefined;
    order.push(`${items.length} sent`);
    return divideTenBy(items);
  };
  const { ask } = createBatch({ run });
  await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index + 1).then(() => order.push('answered'))));
  expect(order).toEqual(['1 sent', '4 sent', 'answered', '3 sent', ...new Array(7).fill('answered')]);
});

test('an item that arrives with the outcome of a batch is sent before that batch is answered', async () => {
  const order: string[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = async (items: readonly number[]) => {
    order.push(`${items.length} sent`);
    if (items.length > 1) await released;
    return [...items];
  };
  const { ask } = createBatch({ run });
  const asking = (item: number) => ask(item).then(() => order.push('answered'));
  const first = [1, 2, 4].map(asking);
  await expect.poll(() => order).toEqual(['1 sent', '2 sent', 'answered']);
  release();
  // Still in the same event-loop turn, as when two sockets become readable together.
  for (let step = 0; step < 20; step += 1) await undefined;
  await Promise.all([...first, asking(5)]);
  expect(order).toEqual(['1 sent', '2 sent', 'answered', '1 sent', 'answered', 'answered', 'answered']);
});

test('a batch waiting for a lock holds back no other batch, up to the concurrency limit', async () => {
  const { run, unlock } = locking();
  const { ask, sizes } = createBatch({ run });
  const waiting: Promise<number>[] = [];
  const begun = (count: number) => expect.poll(() => sizes).toEqual(new Array(count).fill(1));
  for (const count of [1, 2, 3]) {
    waiting.push(ask(10));
    await begun(count);
  }
  expect(await ask(2)).toBe(5);
  waiting.push(ask(10));
  await begun(5);
  const last = ask(5);
  // Longer than a slow batch may hold back the next one.
  await setTimeout(300);
  await begun(5);
  unlock();
  expect(await Promise.all([...waiting, last])).toEqual([1, 1, 1, 1, 2]);
});

test('two items of one key run in separate batches, in their order', async () => {
  const seen: (readonly number[])[] = [];
  const run = (items: readonly number[]) => {
    seen.push(items);
    return divideTenBy(items);
  };
  const { ask } = createBatch({ run, keyOf: (divisor) => String(divisor % 10) });
  expect(await Promise.all([1, 11, 2, 1].map(ask))).toEqual([10, 0, 5, 10]);
  expect(seen).toEqual([[1], [11, 2], [1]]);
});

test('equal requests of one turn share one query that starts after all of them, and nothing is cached', async () => {
  let asked = 0;
  let runs = 0;
  const ask = sharePerTurn(
    async (divisor: number) => {
      runs += 1;
      const [quotient] = await divideTenBy([divisor]);
      return { quotient, after: asked };
    },
    (divisor) => String(divisor),
  );
  const count = (divisor: number) => {
    asked += 1;
    return ask(divisor);
  };
  const answers = await Promise.all([1, 2, 1, 2].map(count));
  expect(answers).toEqual([
    { quotient: 10, after: 4 },
    { quotient: 5, after: 4 },
    { quotient: 10, after: 4 },
    { quotient: 5, after: 4 },
  ]);
  // The first request ran at once.
  expect(runs).toBe(3);
  const refused = { status: 'rejected', reason: { code: '22012' } };
  expect(await Promise.allSettled([0, 0, 0].map(count))).toMatchObject([refused, refused, refused]);
  expect(await count(1)).toEqual({ quotient: 10, after: 8 });
  expect(runs).toBe(6);
});
