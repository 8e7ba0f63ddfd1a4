import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { batching, type LockLimit } from '../../src/database/batch.js';
import { sharePerTurn } from '../../src/database/list/share-per-turn.js';
import { testDatabase } from '../support/database.js';

const database = await testDatabase();

/** Ten divided by each of the divisors, by the database: a zero among them fails the statement. */
async function tenBy(divisors: readonly number[]): Promise<number[]> {
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

function observed({ maxSize = 100, run = tenBy, ...options }: Options = {}) {
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

test('a lone item runs at once, the others of its turn in one statement, each answer its own', async () => {
  const { ask, sizes } = observed();
  expect(await Promise.all([1, 2, 5, 2].map(ask))).toEqual([10, 5, 2, 5]);
  expect(sizes).toEqual([1, 3]);
  expect(await ask(10)).toBe(1);
  expect(sizes).toEqual([1, 3, 1]);
});

test('what the database refuses fails alone', async () => {
  const { ask } = observed();
  const settled = await Promise.allSettled([1, 0, 5].map(ask));
  expect(settled).toMatchObject([
    { status: 'fulfilled', value: 10 },
    { status: 'rejected', reason: { code: '22012' } },
    { status: 'fulfilled', value: 2 },
  ]);
});

test.each(['57P01', '08006', '53300', 'XX000', 'EPIPE', 'ECONNRESET', undefined])(
  'a failure (%s) after which it may have been done is not repeated',
  async (code) => {
    let runs = 0;
    const run = async () => {
      runs += 1;
      throw Object.assign(new Error('gone'), { code });
    };
    const { ask } = observed({ run });
    const settled = await Promise.allSettled([1, 2, 5].map(ask));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(runs).toBe(2);
  },
);

test('a batch is no larger than allowed, and no item is lost or answered twice', async () => {
  const { ask, sizes } = observed({ maxSize: 3 });
  expect(await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index + 1)))).toEqual([
    10, 5, 3, 2, 2, 1, 1, 1, 1, 1,
  ]);
  expect(sizes).toEqual([1, 3, 3, 3]);
});

/** A run in which the item 10 waits until it is unlocked, or for its lock timeout. */
function locking() {
  let unlock = () => {};
  const unlocked = new Promise<void>((resolve) => {
    unlock = resolve;
  });
  const run = async (items: readonly number[], { lockTimeout }: LockLimit) => {
    if (items.includes(0) && items.length > 1) return tenBy(items);
    if (items.includes(10))
      await (lockTimeout ? Promise.race([unlocked, refusedAfter(lockTimeout, '55P03')]) : unlocked);
    return tenBy(items);
  };
  return { run, unlock: () => unlock() };
}

/** Fails with an SQLSTATE after some milliseconds. */
async function refusedAfter(milliseconds: number, code: string): Promise<never> {
  await setTimeout(milliseconds);
  throw Object.assign(new Error('refused'), { code });
}

test('the items of a refused batch run one after the other', async () => {
  let running = 0;
  let most = 0;
  const run = async (items: readonly number[]) => {
    running += 1;
    most = Math.max(most, running);
    try {
      return await tenBy(items);
    } finally {
      running -= 1;
    }
  };
  const { ask } = observed({ run });
  const settled = await Promise.allSettled([1, 2, 0, 5].map(ask));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(most).toBe(1);
});

test('after a timeout the items that are slow together take no longer than their batch', async () => {
  let alone = 0;
  const run = async (items: readonly number[]) => {
    if (items.length > 1) return refusedAfter(250, '57014');
    alone += 1;
    return refusedAfter(110, '55P03');
  };
  const { ask } = observed({ run });
  const began = Date.now();
  const settled = await Promise.allSettled([1, 2, 5, 10, 4].map(ask));
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(
    expect.arrayContaining(['55P03', '57014']),
  );
  expect(alone).toBeLessThan(5);
  expect(Date.now() - began).toBeLessThan(3000);
});

test('when the connection goes while the items run alone, the others fail at once', async () => {
  let runs = 0;
  const run = async (items: readonly number[]) => {
    runs += 1;
    return refusedAfter(0, items.length > 1 ? '22012' : '08006');
  };
  const { ask } = observed({ run });
  const settled = await Promise.allSettled([1, 2, 5].map(ask));
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(['08006', '08006', '08006']);
  expect(runs).toBe(3);
});

test('of a batch that was refused each is answered when it is done', async () => {
  const { run, unlock } = locking();
  const { ask } = observed({ run });
  const [, locked, refused, free] = [5, 10, 0, 2].map(ask);
  await expect(refused).rejects.toMatchObject({ code: '22012' });
  expect(await free).toBe(5);
  unlock();
  expect(await locked).toBe(1);
});

test('half of the outstanding items are a batch, so that the database works on it while the others are handled', async () => {
  const { ask, sizes } = observed();
  await Promise.all(Array.from({ length: 13 }, (_, index) => ask(index + 1)));
  expect(sizes).toEqual([1, 7, 5]);
});

test('the next batch is sent before the one before it is answered', async () => {
  const order: string[] = [];
  const run = async (items: readonly number[]) => {
    // More promises than an answer takes.
    for (let step = 0; step < 20; step += 1) await undefined;
    order.push(`${items.length} sent`);
    return tenBy(items);
  };
  const { ask } = observed({ run });
  await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index + 1).then(() => order.push('answered'))));
  expect(order).toEqual(['1 sent', '4 sent', 'answered', '3 sent', ...new Array(7).fill('answered')]);
});

test('an item that arrives together with the outcome of a batch is sent before that is answered', async () => {
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
  const { ask } = observed({ run });
  const asking = (item: number) => ask(item).then(() => order.push('answered'));
  const first = [1, 2, 4].map(asking);
  await expect.poll(() => order).toEqual(['1 sent', '2 sent', 'answered']);
  release();
  // The next callback of the same turn of the event loop, as when two sockets have something to read.
  for (let step = 0; step < 20; step += 1) await undefined;
  await Promise.all([...first, asking(5)]);
  expect(order).toEqual(['1 sent', '2 sent', 'answered', '1 sent', 'answered', 'answered', 'answered']);
});

test('a batch that waits for long holds nothing else back, up to a number of them', async () => {
  const { run, unlock } = locking();
  const { ask, sizes } = observed({ run });
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
  // Longer than a batch holds back the next one.
  await setTimeout(300);
  await begun(5);
  unlock();
  expect(await Promise.all([...waiting, last])).toEqual([1, 1, 1, 1, 2]);
});

test('two of one key are in batches of their own, in their order', async () => {
  const seen: (readonly number[])[] = [];
  const run = (items: readonly number[]) => {
    seen.push(items);
    return tenBy(items);
  };
  const { ask } = observed({ run, keyOf: (divisor) => String(divisor % 10) });
  expect(await Promise.all([1, 11, 2, 1].map(ask))).toEqual([10, 0, 5, 10]);
  expect(seen).toEqual([[1], [11, 2], [1]]);
});

test('what is asked for alike in one turn shares an answer that is younger than all of it, and nothing is kept', async () => {
  let asked = 0;
  let runs = 0;
  const ask = sharePerTurn(
    async (divisor: number) => {
      runs += 1;
      const [quotient] = await tenBy([divisor]);
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
  // The first of them did not wait.
  expect(runs).toBe(3);
  const refused = { status: 'rejected', reason: { code: '22012' } };
  expect(await Promise.allSettled([0, 0, 0].map(count))).toMatchObject([refused, refused, refused]);
  expect(await count(1)).toEqual({ quotient: 10, after: 8 });
  expect(runs).toBe(6);
});
