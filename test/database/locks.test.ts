import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { columns } from '../../src/model/session.js';
import { parseSession } from '../../src/model/session-request.js';
import { postgresDatabase, testDatabase } from '../support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';

const template = inject('template');
const noPreconditions = { match: undefined, noneMatch: undefined };
const column = columns.find(({ name }) => name === 'locale') as (typeof columns)[number];

/** Counts the statements in flight. */
function counting(database: Database) {
  const seen = { running: 0, most: 0 };
  const query: Database['query'] = async (statement) => {
    seen.running += 1;
    seen.most = Math.max(seen.most, seen.running);
    try {
      return await database.query(statement);
    } finally {
      seen.running -= 1;
    }
  };
  return { counted: { ...database, query }, seen };
}

type Store = ReturnType<typeof sessionStore>;

async function createMany(store: Store, count: number): Promise<string[]> {
  const bodies = Array.from({ length: count }, () => sessionBody());
  await Promise.all(bodies.map((body) => store.create((parseSession(body) as { value: never }).value)));
  return bodies.map(({ id }) => id);
}

const localised = (store: Store, id: string, value: string) =>
  store.patch(id, [{ column, value, merge: false }], noPreconditions);

test('a statement with a lock timeout runs and returns its rows', async () => {
  const database = await testDatabase();
  const statement = { name: 'limited', text: 'SELECT $1::text AS text', values: ['x'], lockTimeout: 100 };
  for (let round = 0; round < 2; round += 1) expect(await database.query(statement)).toEqual([{ text: 'x' }]);
});

if (template.kind === 'postgres') {
  const { url } = await postgresDatabase(template.url, template.name);
  const statementTimeout = 1500;
  const database = openPostgres({ url, poolSize: 10, statementTimeout, preparedStatements: true });
  afterAll(() => database.close());

  /** Runs `work` while another transaction holds the locks of `statement`. */
  async function whileLocked<Result>(statement: string, work: () => Promise<Result>): Promise<Result> {
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query(statement);
      return await work();
    } finally {
      await holder.end();
    }
  }
  const rowOf = (id: string) => `SELECT FROM checkout_session WHERE id = '${id}' FOR UPDATE`;

  test('a locked row fails only its own write, on at most two connections, while reads continue', async () => {
    const { counted, seen } = counting(database);
    const sizes: number[] = [];
    const store = sessionStore(counted, (kind, size) => void (kind === 'patch' && sizes.push(size)));
    const ids = await createMany(store, 201);
    const [locked = '', ...others] = ids;
    await Promise.all(ids.map((id) => localised(store, id, 'en')));
    sizes.length = 0;
    seen.most = 0;
    const began = Date.now();
    await whileLocked(rowOf(locked), async () => {
      const [first = '', ...rest] = others.slice(0, 100);
      // The first write runs alone. The locked row is in the next batch.
      const alone = localised(store, first, 'de');
      const refused = localised(store, locked, 'de').catch((error) => error);
      const writes = Promise.all([alone, ...rest.map((id) => localised(store, id, 'de'))]);
      await setTimeout(200);
      for (let read = 0; read < 5; read += 1) {
        const asked = Date.now();
        expect(await database.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
        expect(Date.now() - asked).toBeLessThan(1000);
        await setTimeout(200);
      }
      expect(await writes).toHaveLength(100);
      expect((await refused).code).toMatch(/^(55P03|57014)$/);
    });
    expect(sizes.slice(0, 2)).toEqual([1, 51]);
    expect(seen.most).toBeLessThanOrEqual(2);
    expect(Date.now() - began).toBeLessThan(3 * statementTimeout);
    const found = await Promise.all(ids.map((id) => store.find(id)));
    const locales = found.map((session) => JSON.parse(session?.document ?? '').locale);
    expect(locales).toEqual(['en', ...new Array(100).fill('de'), ...new Array(100).fill('en')]);
  });

  test('a locked table fails every write in time, and none is applied later', async () => {
    const store = sessionStore(database);
    const ids = await createMany(store, 40);
    const began = Date.now();
    const settled = await whileLocked('LOCK TABLE checkout_session', () =>
      Promise.allSettled(ids.map((id) => localised(store, id, 'de'))),
    );
    expect(new Set(settled.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(Date.now() - began).toBeLessThan(6 * statementTimeout);
    const again = await Promise.all(ids.map((id) => localised(store, id, 'fr')));
    for (const { document } of again) expect(JSON.parse(document).locale).toBe('fr');
  });

  test("a write to a locked session is 503 query-timeout; other sessions' writes are 200", async () => {
    const { api } = await startService({ database });
    const bodies = Array.from({ length: 6 }, () => sessionBody());
    for (const body of bodies) await api.post(sessionsPath).send(body).expect(201);
    const paths = bodies.map(({ id }) => `${sessionsPath}/${id}`);
    const responses = await whileLocked(rowOf(bodies[0]?.id ?? ''), () =>
      Promise.all(paths.map((path) => api.patch(path).send({ locale: 'de' }))),
    );
    const [locked, ...others] = responses;
    expectProblem(locked as (typeof responses)[number], 503, 'query-timeout');
    expect(others.map(({ status }) => status)).toEqual(new Array(5).fill(200));
    const { body } = await api.get(paths[0] as string).expect(200);
    expect(body.locale).toBe('');
  });
}
