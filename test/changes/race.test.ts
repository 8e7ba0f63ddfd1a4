import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { changeStore } from '../../src/database/changes.js';
import type { Database } from '../../src/database/engine/database.js';
import { postgresDatabase, testDatabase } from '../support/database.js';

const template = inject('template');

const writers = 12;
const sessions = 30;
const duration = 4000;

const below = (count: number) => Math.floor(Math.random() * count);
const idOf = (number: number) => `cs_test_race_${String(number).padStart(2, '0')}`;

const insert = `INSERT INTO checkout_session (id, mode, submit_type, billing_address_collection, payment_method_types)
  VALUES ($1, 'payment', 'pay', 'auto', '{}') ON CONFLICT (id) DO UPDATE SET version = checkout_session.version + 1`;

/** Writes until `end`. Each transaction touches a few sessions, with pauses; every fifth is rolled back. */
async function write(url: string, end: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    while (Date.now() < end) {
      const isAlone = below(4) === 0;
      if (!isAlone) await client.query('BEGIN');
      // Ascending order, because two transactions in different orders would deadlock.
      for (let number = below(sessions); number < sessions; number += 1 + below(sessions)) {
        await client.query(insert, [idOf(number)]);
        if (isAlone) break;
        if (below(3) === 0) await setTimeout(below(15));
      }
      if (!isAlone) await client.query(below(5) === 0 ? 'ROLLBACK' : 'COMMIT');
    }
  } finally {
    await client.end();
  }
}

/** Reads by sequence number alone, ignoring the race with uncommitted transactions. */
async function followNaively(database: Database, seen: number[], isOver: () => boolean): Promise<void> {
  for (let last = 0, isLast = false; !isLast; ) {
    isLast = isOver();
    const text = 'SELECT seq::int AS seq FROM checkout_session_change WHERE seq > $1 ORDER BY seq';
    for (const { seq } of await database.query<{ seq: number }>({ text, values: [last] })) {
      seen.push(seq);
      last = seq;
    }
  }
}

async function follow(database: Database, seen: number[], isOver: () => boolean): Promise<void> {
  const store = changeStore(database);
  for (let place = await store.start(), isLast = false; !isLast; ) {
    isLast = isOver();
    const horizon = await store.horizon();
    for (let hasMore = true; hasMore; ) {
      const page = await store.read(place, { horizon, limit: 100 });
      if (!page) throw new Error(`the log does not know its own place ${JSON.stringify(place)}`);
      seen.push(...page.changes.map(({ id }) => Number(Buffer.from(id, 'base64url').toString().split('.')[0])));
      place = page.end;
      hasMore = page.hasMore;
    }
  }
}

if (template.kind === 'postgres') {
  const { url, database } = await postgresDatabase(template.url, template.name);
  const fresh = await postgresDatabase(template.url, template.name);

  test('the feed loses no change under concurrent writes, while a plain sequence cursor does', async () => {
    const end = Date.now() + duration;
    const naive: number[] = [];
    const fed: number[] = [];
    let isOver = false;
    const readers = [followNaively(database, naive, () => isOver), follow(database, fed, () => isOver)];
    await Promise.all(Array.from({ length: writers }, () => write(url, end)));
    isOver = true;
    await Promise.all(readers);
    const logged = await database.query<{ seq: number; session_id: string; version: number }>({
      text: 'SELECT seq::int AS seq, session_id, version FROM checkout_session_change ORDER BY seq',
      values: [],
    });
    expect(logged.length).toBeGreaterThan(500);
    // Proves that the test can fail: without the horizon, changes are lost.
    expect(naive.length).toBeLessThan(logged.length);
    expect(fed.filter((seq, index) => seq !== logged[index]?.seq)).toEqual([]);
    expect(fed.length).toBe(logged.length);
    // A session's versions are assigned under its row lock, one after another.
    const versions = new Map<string, number>();
    for (const { session_id, version } of logged) {
      expect(version).toBe((versions.get(session_id) ?? 0) + 1);
      versions.set(session_id, version);
    }
  });

  /** Runs `work` while another transaction is open and has run `text`. */
  async function whileOpen<Result>(text: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query(text);
      return await work(client);
    } finally {
      await client.end();
    }
  }
  const store = changeStore(database);
  const touch = (id: string) => database.query({ text: insert, values: [id] });
  const touchText = (id: string) => insert.replace('$1', `'${id}'`);

  test('the first change of an empty log is not skipped while it is uncommitted', async () => {
    const { database: empty, url: emptyUrl } = fresh;
    const own = changeStore(empty);
    expect(await own.horizon()).toBe(0);
    const client = new pg.Client({ connectionString: emptyUrl });
    await client.connect();
    await client.query('BEGIN');
    await client.query(touchText('cs_test_first'));
    await empty.query({ text: insert, values: ['cs_test_second'] });
    expect(await own.horizon()).toBe(0);
    expect(await own.last(await own.horizon())).toBeUndefined();
    await client.query('COMMIT');
    await client.end();
    const page = await own.read(await own.start(), { horizon: await own.horizon(), limit: 10 });
    expect(page?.changes.map(({ json }) => JSON.parse(json).session_id)).toEqual(['cs_test_first', 'cs_test_second']);
  });

  test('an open transaction that wrote sessions holds back the feed until it commits or rolls back', async () => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      const before = await store.horizon();
      await whileOpen(touchText('cs_test_held'), async (client) => {
        await touch('cs_test_free');
        expect(await store.horizon()).toBe(before);
        const { lag, oldest } = await store.delay();
        expect(lag).toBe(2);
        expect(oldest).toBeGreaterThan(0);
        await client.query(end);
        expect(await store.horizon()).toBe(before + 2);
      });
    }
    expect(await store.delay()).toEqual({ lag: 0, oldest: 0 });
  });

  test.each([
    ['has written another table', 'CREATE TABLE other (id int); INSERT INTO other VALUES (1)'],
    ['has read the sessions', 'SELECT * FROM checkout_session'],
    ['has changed no session', "UPDATE checkout_session SET version = 2 WHERE id = 'cs_test_absent'"],
    ['has an advisory lock of its own', 'SELECT pg_advisory_xact_lock_shared(1667786855), pg_advisory_xact_lock(1, 1)'],
  ])('an open transaction that %s does not hold back the feed', async (_, text) => {
    await whileOpen(text, async () => {
      const before = await store.horizon();
      await touch('cs_test_free');
      expect(await store.horizon()).toBe(before + 1);
    });
  });

  test('a writer that announces while the horizon is read does not move it back', async () => {
    await touch('cs_test_free');
    const before = await store.horizon();
    // Such a writer's key is above the number that the horizon has read from the sequence.
    await whileOpen(`SELECT pg_advisory_xact_lock_shared(1667786855, ${before + 1})`, async () => {
      expect(await store.horizon()).toBe(before);
      expect((await store.delay()).lag).toBe(0);
    });
  });

  test('a statement waiting for a row lock does not hold back other changes', async () => {
    await touch('cs_test_locked');
    await whileOpen("SELECT FROM checkout_session WHERE id = 'cs_test_locked' FOR UPDATE", async () => {
      const waiting = touch('cs_test_locked').catch(() => {});
      await setTimeout(100);
      const before = await store.horizon();
      await touch('cs_test_free');
      expect(await store.horizon()).toBe(before + 1);
      return { waiting };
    });
  });

  test('a transaction takes one advisory lock, even after a rollback to a savepoint', async () => {
    const locks = `SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND classid = 1667786855
      AND pid = pg_backend_pid()`;
    await whileOpen('SAVEPOINT one', async (client) => {
      await client.query(touchText('cs_test_many_0'));
      await client.query('ROLLBACK TO SAVEPOINT one');
      expect((await client.query(locks)).rows).toEqual([{ count: 0 }]);
      for (let number = 0; number < 20; number += 1) {
        await client.query(touchText(`cs_test_many_${number}`));
        await touch('cs_test_free');
      }
      expect((await client.query(locks)).rows).toEqual([{ count: 1 }]);
    });
  });
} else {
  // With a single connection no writer can commit late. The only gaps are the numbers of rolled-back transactions.
  test('a rolled-back transaction leaves a gap in the numbers, and the feed loses no change after it', async () => {
    const database = await testDatabase();
    for (let number = 0; number < 30; number += 1) {
      const written = database.transaction(async (query) => {
        await query({ text: insert, values: [idOf(number % sessions)] });
        if (number % 3 === 0) throw new Error('rolled back');
      });
      await written.catch(() => {});
    }
    const seen: number[] = [];
    await follow(database, seen, () => true);
    expect(seen).toHaveLength(20);
    expect(await changeStore(database).horizon()).toBe(seen.at(-1));
  });
}
