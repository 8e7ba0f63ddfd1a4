import { randomUUID } from 'node:crypto';
import { afterAll, expect, inject, test } from 'vitest';
import type { Database, Statement } from '../../src/database/engine/database.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { documentsReader } from '../../src/database/list/batch.js';
import { testDatabase } from '../support/database.js';
import { databaseUrl, runStatement } from '../support/postgres.js';

const template = inject('template');
const database = await testDatabase();

const named = (name: string, text: string, ...values: unknown[]): Statement => ({ name, text, values });

const hard = ['', 'a', 'a,b', '{}', '"', '\\', '\\"', 'NULL', ' ', 'line\nbreak', 'é', '😀'];

test('parameters of a named statement arrive unchanged', async () => {
  const text =
    'SELECT $1::text AS text, $2::text[] AS list, $3::text[] AS none, $4::text AS null, $5::integer AS number, $6::boolean AS boolean';
  for (const value of hard) {
    const [row] = await database.query(named('values', text, value, hard, [], null, 7, true));
    expect(row).toEqual({ text: value, list: hard, none: [], null: null, number: 7, boolean: true });
  }
});

test('a named statement may return no rows or columns and take no values', async () => {
  const seen = async (statement: Statement) => [await database.query(statement), await database.query(statement)];
  expect(await seen(named('no-rows', 'SELECT 1 AS one WHERE false'))).toEqual([[], []]);
  expect(await seen(named('no-columns', 'SELECT'))).toEqual([[{}], [{}]]);
  expect(await seen(named('no-result', "UPDATE checkout_session SET mode = 'setup' WHERE false"))).toEqual([[], []]);
});

test.each([
  ['at its parsing', 'SELEC $1::integer AS quotient', 1, '42601'],
  ['at a value', 'SELECT 10 / $1::integer AS quotient', 'ten', '22P02'],
  ['while it runs', 'SELECT 10 / $1::integer AS quotient', 0, '22012'],
])(
  'a named statement that fails %s fails every time, and a good call then succeeds on the same connection',
  async (_, text, bad, code) => {
    const name = `fails-${code}`;
    await database.transaction(async (query) => {
      const attempt = async (statement: Statement) => {
        await query({ text: 'SAVEPOINT attempt', values: [] });
        const outcome = await query(statement).catch((error: { code: string }) => error.code);
        if (typeof outcome === 'string') await query({ text: 'ROLLBACK TO attempt', values: [] });
        return outcome;
      };
      const good = named(name, 'SELECT 10 / $1::integer AS quotient', 5);
      for (let round = 0; round < 2; round += 1) {
        expect(await attempt(named(name, text, bad))).toBe(code);
        expect(await attempt(good)).toEqual([{ quotient: 2 }]);
        expect(await attempt(good)).toEqual([{ quotient: 2 }]);
        // In the service a name always has the same text.
        if (code === '42601') break;
      }
    });
  },
);

if (template.kind !== 'embedded') {
  test.each([[{ a: 1 }], [new Date(0)]])(
    'a value that cannot be encoded (%o) fails only its own statement',
    async (value) => {
      const statement = named('echo', 'SELECT $1::text AS text', value);
      await expect(database.query(statement)).rejects.toThrow(TypeError);
      await expect(database.transaction((query) => query(statement))).rejects.toThrow(TypeError);
      expect(await database.query(named('echo', 'SELECT $1::text AS text', 'x'))).toEqual([{ text: 'x' }]);
    },
  );

  test('documents arrive as UTF-8 from a LATIN1 database', async () => {
    const name = `checkout_session_test_${randomUUID()}`;
    await runStatement(template.url, `CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`);
    const url = databaseUrl(template.url, name);
    const latin = openPostgres({ url, poolSize: 1, statementTimeout: 9000, preparedStatements: true });
    try {
      const statement = { text: "SELECT 'caf' || chr(233) AS document", values: [], hasOnePlan: false };
      expect(await documentsReader(latin)(statement)).toEqual({ count: 1, text: 'café', bytes: 5 });
    } finally {
      await latin.close();
      await runStatement(template.url, `DROP DATABASE "${name}" WITH (FORCE)`);
    }
  });

  const own = (poolSize: number): Database =>
    openPostgres({ url: template.url, poolSize, statementTimeout: 9000, preparedStatements: true });
  const [single, several] = [own(1), own(3)];
  afterAll(() => Promise.all([single.close(), several.close()]));

  test('a named statement is prepared once per connection', async () => {
    const prepared = () =>
      single.query({
        text: "SELECT generic_plans + custom_plans AS runs FROM pg_prepared_statements WHERE name = 'once'",
        values: [],
      });
    for (let run = 1; run <= 3; run += 1) {
      expect(await single.query(named('once', 'SELECT $1::text AS text', String(run)))).toEqual([
        { text: String(run) },
      ]);
      expect(await prepared()).toEqual([{ runs: String(run) }]);
    }
  });

  const preparedCount = async () => {
    const text = "SELECT count(*)::integer AS count FROM pg_prepared_statements WHERE name <> ''";
    const [row] = await single.query<{ count: number }>({ text, values: [] });
    return row?.count;
  };

  test('a connection keeps 128 prepared statements and drops the least recently used', async () => {
    const run = (index: number) => single.query(named(`bounded-${index}`, `SELECT ${index} + $1::integer AS sum`, 1));
    for (let index = 0; index < 300; index += 1) {
      expect(await run(index)).toEqual([{ sum: index + 1 }]);
      // This statement stays, because it is used in every round.
      expect(await single.query(named('used', 'SELECT $1::text AS text', 'x'))).toEqual([{ text: 'x' }]);
    }
    expect(await preparedCount()).toBe(128);
    const runsOf = 'SELECT generic_plans + custom_plans AS runs FROM pg_prepared_statements WHERE name = $1';
    expect(await single.query({ text: runsOf, values: ['used'] })).toEqual([{ runs: '300' }]);
    expect(await single.query({ text: runsOf, values: ['bounded-0'] })).toEqual([]);
    expect(await run(0)).toEqual([{ sum: 1 }]);
    expect(await preparedCount()).toBe(128);
  });

  test('failed statements count towards the limit', async () => {
    await single.transaction(async (query) => {
      for (let index = 0; index < 200; index += 1) {
        await query({ text: 'SAVEPOINT attempt', values: [] });
        await expect(query(named(`failing-${index}`, 'SELECT 1 / $1::integer AS one', 0))).rejects.toThrow('zero');
        await query({ text: 'ROLLBACK TO attempt', values: [] });
      }
    });
    expect(await preparedCount()).toBe(128);
  });

  test('fifty concurrent statements on three connections each get their own rows', async () => {
    const rows = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        several.query<{ n: number }>(named('series', 'SELECT n FROM generate_series(1, $1::integer) AS n', index)),
      ),
    );
    expect(rows.map((series) => series.map(({ n }) => n))).toEqual(
      Array.from({ length: 50 }, (_, index) => Array.from({ length: index }, (_, n) => n + 1)),
    );
  });

  test('rows larger than one socket read arrive complete', async () => {
    const statement = named('large', "SELECT repeat('é', $1::integer) AS text FROM generate_series(1, 3)", 300_000);
    expect(await single.query(statement)).toEqual(new Array(3).fill({ text: 'é'.repeat(300_000) }));
  });

  test('a connection that ends during a statement fails it, and the next statement gets a new connection', async () => {
    const ending = single.query(named('ending', 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)'));
    await expect(ending).rejects.toMatchObject({ code: '57P01' });
    expect(await single.query(named('after', 'SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  });
}
