import { expect, inject, test } from 'vitest';
import { batching, writeBatch } from '../../src/database/batch.js';
import { expandShardHints, isCitus, watchWorkers } from '../../src/database/engine/citus.js';
import type { Database } from '../../src/database/engine/database.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import {
  databaseProblem,
  endsConnection,
  isRefusal,
  isWorkerFailure,
  operatorMessage,
} from '../../src/database/engine/sqlstate.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { onPostgres, postgresDatabase, testDatabase } from '../support/database.js';
import { startService } from '../support/service.js';

/** Tests the Citus support without a cluster. `npm run citus` runs it on one. */

const database = await testDatabase();

/** Errors of Citus 13.2 while a worker is down or going down. */
const never =
  'connection to the remote node postgres@10.0.0.2:5432 failed with the following error: Connection refused';
const starting =
  'connection to the remote node a@b:1 failed with the following error: FATAL:  the database system is starting up';
const lost = 'connection to the remote node a@b:1 failed with the following error: connection not open';
const closed = 'server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally';
const essential = 'failure on connection marked as essential: 10.0.0.2:5432';
const prepare = "failed to prepare transaction 'citus_0_1_2_3' on host 10.0.0.2:5432";
const failure = (code: string, message: string) => Object.assign(new Error(message), { code });
const workerFailures = [
  failure('08006', never),
  failure('08006', starting),
  failure('08006', lost),
  failure('XX000', closed),
  failure('XX000', essential),
  failure('XX000', prepare),
  failure('XX000', 'could not receive data from server: Connection reset by peer'),
  failure('57P01', 'terminating connection due to administrator command'),
  failure('XX000', 'terminating connection due to administrator command'),
  failure('XX000', 'terminating connection due to unexpected postmaster exit'),
  failure('58030', 'failed to COPY to shard 102062 on 10.0.0.2:5432'),
];

test.each(workerFailures)(
  'the worker failure "$message" is a 503 and keeps the connection to the coordinator',
  (error) => {
    expect(databaseProblem(error)).toMatchObject({ code: 'database-unavailable', statusCode: 503 });
    expect(endsConnection(error)).toBe(false);
  },
);

test('the message of a command that fails because of a worker names the worker, not DATABASE_URL', () => {
  const message = operatorMessage(failure('08006', never));
  expect(message).toContain('10.0.0.2:5432');
  expect(message).toMatch(/worker is back\.$/);
  expect(message).not.toContain('DATABASE_URL');
});

test('another internal error is not taken for a worker failure', () => {
  const error = failure('XX000', 'cache lookup failed for relation 1');
  expect(databaseProblem(error)).toBeUndefined();
  expect(endsConnection(error)).toBe(true);
  expect(endsConnection(failure('08006', 'the connection is gone'))).toBe(true);
});

test('the end of a connection to the coordinator is not taken for a worker failure', () => {
  const error = Object.assign(failure('57P01', 'terminating connection due to administrator command'), {
    severity: 'FATAL',
  });
  expect(isWorkerFailure(error)).toBe(false);
  expect(endsConnection(error)).toBe(true);
  expect(databaseProblem(error)).toMatchObject({ code: 'database-unavailable' });
});

test('a batch is retried one by one only after errors that prove the worker did nothing', () => {
  const refusals = workerFailures.filter(isRefusal).map(({ message }) => message);
  expect(refusals).toEqual([never, starting, essential, prepare]);
});

test('while one worker is down, sessions on other workers are still written', async () => {
  const write = batching<string, string>({
    ...writeBatch,
    async run(items) {
      if (items.includes('away')) throw failure('08006', never);
      return items.map((item) => `${item} is written`);
    },
  });
  const written = await Promise.allSettled(['here', 'away', 'there'].map(write));
  expect(written).toMatchObject([
    { status: 'fulfilled', value: 'here is written' },
    { status: 'rejected', reason: { message: never } },
    { status: 'fulfilled', value: 'there is written' },
  ]);
});

test('every worker failure is counted, and only the first of a burst is reported', () => {
  const told: Error[] = [];
  const workers = watchWorkers((error) => told.push(error));
  for (const error of [...workerFailures, new Error('another')]) workers.note(error);
  expect(workers.failures()).toBe(workerFailures.length);
  expect(told).toEqual([workerFailures[0]]);
});

test('worker failures are exported as a metric', async () => {
  const { api } = await startService({ database: { ...database, workerFailures: () => 3 } });
  expect((await api.get('/metrics').expect(200)).text).toContain('\ndatabase_worker_failures_total 3\n');
});

test('on Citus a statement adds its ids to every join', () => {
  const text = 'SELECT $1 /* shards of s.id */ AND $2 /* shards of e.session_id */';
  expect(expandShardHints({ text, values: ['a', 'b'], ids: ['cs_1', 'cs_2'] })).toMatchObject({
    text: 'SELECT $1 AND s.id = ANY($3::text[]) AND $2 AND e.session_id = ANY($3::text[])',
    values: ['a', 'b', ['cs_1', 'cs_2']],
  });
  const many = Array.from({ length: 14 }, () => 'a');
  expect(expandShardHints({ text: '/* shards of s.id */', values: many, ids: ['cs_1'] }).text).toBe(
    'AND s.id = ANY($15::text[])',
  );
  const plain = { text: 'SELECT $1', values: ['a'], ids: ['cs_1'] };
  expect(expandShardHints(plain)).toBe(plain);
});

/** Runs `isCitus` in a transaction where fake Citus catalogue tables shadow PostgreSQL's. */
async function inCatalogue(database: Database, extension: string, group: number): Promise<boolean> {
  return database.transaction(async (query) => {
    for (const text of catalogueOf(extension, group)) await query({ text, values: [] });
    await query({ text: 'SET LOCAL search_path = citus_like, pg_catalog', values: [] });
    const found = await isCitus(query).finally(() => query({ text: 'ROLLBACK', values: [] }));
    return found;
  });
}

const catalogueOf = (extension: string, group: number) => [
  'CREATE SCHEMA citus_like',
  `CREATE TABLE citus_like.pg_extension AS SELECT '${extension}' AS extname`,
  `CREATE TABLE citus_like.pg_dist_local_group AS SELECT ${group} AS groupid`,
];

test('isCitus detects a coordinator and refuses a worker', async () => {
  expect(await isCitus(database.query)).toBe(false);
  expect(await inCatalogue(database, 'plpgsql', 0)).toBe(false);
  expect(await inCatalogue(database, 'citus', 0)).toBe(true);
  await expect(inCatalogue(database, 'citus', 2)).rejects.toThrow(
    /a worker of a Citus cluster. Use .* the coordinator/,
  );
});

test('a pool detects Citus when it opens', async () => {
  const template = inject('template');
  if (!onPostgres || template.kind !== 'postgres') return;
  const { url, database } = await postgresDatabase(template.url, template.name);
  for (const text of catalogueOf('citus', 0)) await database.query({ text, values: [] });
  const name = new URL(url).pathname.slice(1);
  await database.query({
    text: `ALTER DATABASE "${name}" SET search_path = citus_like, pg_catalog, public`,
    values: [],
  });
  const options = { url, poolSize: 1, statementTimeout: 10_000, preparedStatements: true };

  const coordinator = openPostgres(options);
  const sessions = sessionStore(coordinator);
  await Promise.all(['cs_test_1', 'cs_test_2', 'cs_test_3'].map((id) => sessions.find(id)));
  const text = `SELECT statement FROM pg_prepared_statements WHERE name = 'find'`;
  const [found] = await coordinator.query<{ statement: string }>({ text, values: [] });
  expect(found?.statement).toContain('AND s.id = ANY($2::text[])');
  await coordinator.close();

  await database.query({ text: 'UPDATE citus_like.pg_dist_local_group SET groupid = 2', values: [] });
  const worker = openPostgres(options);
  await expect(worker.query({ text: 'SELECT 1', values: [] })).rejects.toThrow(/a worker of a Citus cluster/);
  await worker.close();
});

test('migrations set citus.multi_shard_modify_mode to sequential', async () => {
  if (!onPostgres) return;
  const setting = await database.withMigrationAdapter(async (factory) => {
    const adapter = await factory.connect();
    const text = `SELECT current_setting('citus.multi_shard_modify_mode', true) AS mode`;
    const { rows } = await adapter.queryRaw({ sql: text, args: [], argTypes: [] });
    await adapter.dispose();
    return rows;
  });
  expect(setting).toEqual([['sequential']]);
});
