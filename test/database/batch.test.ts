import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { batching, type LockLimit, sharing } from '../../src/database/batch.js';
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
  parts?: 2 | 3;
  maxSize?: number;
  sendsFirst?: boolean;
  keyOf?: (item: number) => string;
  run?: (items: readonly number[], limit: LockLimit) => Promise<readonly number[]>;
}

function observed({ parts = 2, maxSize = 100, run = tenBy, ...options }: Options = {}) {
  const sizes: number[] = [];
  const ask = batching<number, number>({
    ...options,
    run,
    parts,
    smallest: 4,
    maxSize,
    most: 4,
    onBatch: (size) => sizes.push(size),
  });
  return { ask, sizes };
}

test('what is asked for in one turn is one statement, each answer its own', async () => {
  const { ask, sizes } = observed();
  expect(await Promise.all([1, 2, 5, 2].map(ask))).toEqual([10, 5, 2, 5]);
  expect(sizes).toEqual([4]);
  expect(await ask(10)).toBe(1);
  expect(sizes).toEqual([4, 1]);
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
    const settled = await Promise.allSettled([1, 2].map(ask));
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(runs).toBe(1);
  },
);

test('a batch is no larger than allowed, and no item is lost or answered twice', async () => {
  const { ask, sizes } = observed({ maxSize: 3 });
  expect(await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index + 1)))).toEqual([
    10, 5, 3, 2, 2, 1, 1, 1, 1, 1,
  ]);
  expect(sizes).toEqual([3, 3, 3, 1]);
});

test('what arrives while a batch is under way is gathered', async () => {
  const { ask, sizes } = observed();
  const first = ask(1);
  await new Promise((resolve) => setImmediate(resolve));
  const later = [2, 5].map(ask);
  expect(await Promise.all([first, ...later])).toEqual([10, 5, 2]);
  expect(sizes).toEqual([1, 2]);
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
    return refusedAfter(100, '55P03');
  };
  const { ask } = observed({ run });
  const began = Date.now();
  const settled = await Promise.allSettled([1, 2, 5, 10].map(ask));
  expect(settled.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(
    expect.arrayContaining(['55P03', '57014']),
  );
  expect(alone).toBeLessThan(4);
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
  expect(runs).toBe(2);
});

test('of a batch that was refused each is answered when it is done', async () => {
  const { run, unlock } = locking();
  const { ask } = observed({ run });
  const [locked, refused, free] = [10, 0, 2].map(ask);
  await expect(refused).rejects.toMatchObject({ code: '22012' });
  expect(await free).toBe(5);
  unlock();
  expect(await locked).toBe(1);
});

test.each([
  [2, [6, 6]],
  [3, [4, 4, 4]],
] as const)('of as many as lately one of %i parts is sent while the others are asked for', async (parts, expected) => {
  const { ask, sizes } = observed({ parts });
  const asking = (count: number) => Array.from({ length: count }, (_, index) => ask(index + 1));
  await Promise.all(asking(12));
  sizes.length = 0;
  const first = asking(expected[0] - 1);
  expect(sizes).toEqual([]);
  const rest = asking(12 - first.length);
  expect(sizes).toEqual([expected[0]]);
  await Promise.all([...first, ...rest]);
  expect(sizes).toEqual(expected);
});

test('the next batch is begun before one is answered', async () => {
  const order: string[] = [];
  const run = (items: readonly number[]) => {
    order.push(`${items.length} sent`);
    return tenBy(items);
  };
  const { ask } = observed({ run });
  await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index + 1).then(() => order.push('answered'))));
  expect(order).toEqual(['4 sent', '4 sent', ...new Array(8).fill('answered')]);
});

test('the next batch is sent before one is answered, where that is asked for', async () => {
  const order: string[] = [];
  const run = async (items: readonly number[]) => {
    // More promises than an answer takes.
    for (let step = 0; step < 20; step += 1) await undefined;
    order.push(`${items.length} sent`);
    return tenBy(items);
  };
  const { ask } = observed({ run, sendsFirst: true });
  await Promise.all(Array.from({ length: 8 }, (_, index) => ask(index + 1).then(() => order.push('answered'))));
  expect(order).toEqual(['4 sent', '4 sent', ...new Array(8).fill('answered')]);
});

test('what arrives together with the outcome of all that was asked is begun before that is answered', async () => {
  const order: string[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = async (items: readonly number[]) => {
    order.push(`${items.length} sent`);
    await released;
    return [...items];
  };
  const { ask } = observed({ run });
  const asking = (item: number) => ask(item).then(() => order.push('answered'));
  const first = [1, 2].map(asking);
  await expect.poll(() => order).toEqual(['2 sent']);
  release();
  // The next callback of the same turn of the event loop, as when two sockets have something to read.
  for (let step = 0; step < 20; step += 1) await undefined;
  await Promise.all([...first, asking(5)]);
  expect(order).toEqual(['2 sent', '1 sent', 'answered', 'answered', 'answered']);
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
  expect(seen).toEqual([[1, 2], [11], [1]]);
});

test('what is asked for alike in one turn shares an answer that is younger than all of it, and nothing is kept', async () => {
  let asked = 0;
  let runs = 0;
  const ask = sharing(
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
  const answers = await Promise.all([1, 2, 1].map(count));
  expect(answers).toEqual([
    { quotient: 10, after: 3 },
    { quotient: 5, after: 3 },
    { quotient: 10, after: 3 },
  ]);
  expect(runs).toBe(2);
  await expect(Promise.all([0, 0].map(count))).rejects.toMatchObject({ code: '22012' });
  expect(await count(1)).toEqual({ quotient: 10, after: 6 });
  expect(runs).toBe(4);
});
