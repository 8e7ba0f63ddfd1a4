import { expect, inject, test } from 'vitest';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { postgresDatabase, testDatabase } from '../support/database.js';

const template = inject('template');
const database = await testDatabase();

const failing = [
  ['at its parsing', 'SELEC 1', '42601'],
  ['for a missing table', 'SELECT * FROM nowhere', '42P01'],
  ['while it runs', 'SELECT 1 / 0', '22012'],
  ['on a constraint', 'UPDATE stripe_session_mode SET value = NULL', '23502'],
] as const;

test.each(failing)('after a statement fails %s, the next statement succeeds', async (_, text, code) => {
  for (const name of [undefined, `fails-${code}`]) {
    const statement = { text, values: [], ...(name && { name }) };
    await expect(database.query(statement)).rejects.toMatchObject({ code });
    expect(await database.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
  }
});

if (template.kind === 'postgres') {
  const { url, database: administrator } = await postgresDatabase(template.url, template.name);
  /**
   * Returns the process id of a connection's backend, and how many statements it has prepared under the name `kept`.
   */
  const backend = {
    name: 'backend',
    text: "SELECT pg_backend_pid() AS pid, (SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'kept') AS kept",
    values: [],
  };
  const kept = (divisor: number) => ({ name: 'kept', text: 'SELECT 10 / $1::integer AS quotient', values: [divisor] });
  const single = (statementTimeout = 9000) =>
    openPostgres({ url, poolSize: 1, statementTimeout, preparedStatements: true });
  type Backend = { pid: number; kept: number };

  test('SQL errors end neither the connection nor its prepared statements', async () => {
    const one = single(300);
    try {
      await one.query(kept(5));
      const [before] = await one.query<Backend>(backend);
      for (let round = 0; round < 5; round += 1) {
        for (const [, text, code] of [...failing, ['', 'SELECT pg_sleep(5)', '57014']]) {
          await expect(one.query({ text, values: [] })).rejects.toMatchObject({ code });
          await expect(one.transaction((query) => query({ text, values: [] }))).rejects.toMatchObject({ code });
        }
        await expect(one.query(kept(0))).rejects.toMatchObject({ code: '22012' });
        expect(await one.query(kept(2))).toEqual([{ quotient: 5 }]);
      }
      expect(await one.query<Backend>(backend)).toEqual([before]);
      expect(before?.kept).toBe(1);
    } finally {
      await one.close();
    }
  });

  test('a statement is prepared again after DEALLOCATE ALL or a change of its table', async () => {
    const one = single();
    const read = { name: 'kept', text: 'SELECT label FROM changing', values: [] };
    try {
      await one.query({ text: "CREATE TABLE changing AS SELECT 'one'::text AS label", values: [] });
      expect(await one.query(read)).toEqual([{ label: 'one' }]);
      const [before] = await one.query<Backend>(backend);
      await one.query({ text: 'DEALLOCATE ALL', values: [] });
      expect(await one.query(read)).toEqual([{ label: 'one' }]);
      await administrator.query({ text: 'ALTER TABLE changing ALTER label TYPE integer USING 7', values: [] });
      expect(await one.query(read)).toEqual([{ label: 7 }]);
      expect(await one.query<Backend>(backend)).toEqual([before]);
    } finally {
      await one.close();
    }
  });

  test('a connection the server ended is replaced before the next statement', async () => {
    const one = single();
    try {
      const [before] = await one.query<Backend>(backend);
      const ending = one.query({ text: 'SELECT pg_terminate_backend(pg_backend_pid())', values: [] });
      await expect(ending).rejects.toMatchObject({ code: '57P01' });
      const [after] = await one.query<Backend>(backend);
      expect(after?.pid).not.toBe(before?.pid);
    } finally {
      await one.close();
    }
  });

  test('writes refused as read-only keep their connection', async () => {
    const one = single();
    try {
      await one.query({ text: 'SET default_transaction_read_only = on', values: [] });
      const [before] = await one.query<Backend>(backend);
      const write = { text: 'DELETE FROM checkout_session', values: [] };
      for (let round = 0; round < 5; round += 1) {
        await expect(one.query(write)).rejects.toMatchObject({ code: '25006' });
      }
      expect(await one.query<Backend>(backend)).toEqual([before]);
    } finally {
      await one.close();
    }
  });
}
