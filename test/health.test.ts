import { randomUUID } from 'node:crypto';
import { afterAll, expect, inject, test } from 'vitest';
import { openPostgres } from '../src/database/engine/postgres.js';
import { postgresDatabase } from './support/database.js';
import { databaseUrl, runStatement } from './support/postgres.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';

const connection = (url: string) =>
  openPostgres({ url, poolSize: 2, statementTimeout: 5000, preparedStatements: true });

const template = inject('template');
const { api, database: healthy } = await startService();
const emptied = await startService();
const behind = await startService();
const draining = await startService({ database: healthy });
const unreachable = connection('postgresql://postgres:hunter2@127.0.0.1:1/nowhere');
const { api: offline } = await startService({ database: unreachable });
afterAll(() => unreachable.close());

test.each([
  ['/health/live', { status: 'ok' }],
  ['/health/ready', { status: 'ok', writable: true }],
  ['/health/ready/', { status: 'ok', writable: true }],
])('%s is 200 with a database', async (path, expected) => {
  const { body } = await api
    .get(path)
    .expect(200)
    .expect('content-type', /^application\/json/);
  expect(body).toMatchObject(expected);
});

test('database_writable is 1 on a writable database and NaN on an unreachable one', async () => {
  expect((await api.get('/metrics').expect(200)).text).toContain('\ndatabase_writable 1\n');
  expect((await offline.get('/metrics').expect(200)).text).toContain('\ndatabase_writable Nan\n');
});

test('without its database the service is live but not ready', async () => {
  await offline.get('/health/live').expect(200);
  const response = await offline.get('/health/ready');
  expectProblem(response, 503, 'database-unavailable');
  expect(response.text).not.toMatch(/nowhere|hunter2|ECONNREFUSED/);
});

test('without its tables the service is live but not ready', async () => {
  await emptied.database.query({ text: 'DROP TABLE checkout_session', values: [] });
  await emptied.api.get('/health/live').expect(200);
  const { status } = await emptied.api.get('/health/ready');
  expect(status).toBeGreaterThanOrEqual(500);
});

test('the service is live but not ready while a migration is missing', async () => {
  const set = (value: string) =>
    behind.database.query({ text: `UPDATE _prisma_migrations SET finished_at = ${value}`, values: [] });
  await set('NULL');
  await behind.api.get('/health/live').expect(200);
  const { detail } = expectProblem(await behind.api.get('/health/ready'), 503, 'database-unavailable');
  expect(detail).toBe('The database lacks migrations.');
  await set('now()');
  await behind.api.get('/health/ready').expect(200);
});

test('while draining the service is not ready, serves requests, and closes their connections', async () => {
  const { headers } = await draining.api.get('/health/ready').set('connection', 'keep-alive').expect(200);
  expect(headers.connection).toBe('keep-alive');
  draining.app.drain();
  const refused = await draining.api.get('/health/ready').set('connection', 'keep-alive');
  expectProblem(refused, 503, 'draining');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  for (const path of ['/health/live', sessionsPath]) {
    const { headers } = await draining.api.get(path).set('connection', 'keep-alive').expect(200);
    expect(headers.connection).toBe('close');
  }
});

if (template.kind === 'postgres') {
  const { url, name: original } = template;
  const [name, away] = [`checkout_session_test_${randomUUID()}`, `checkout_session_test_${randomUUID()}`];
  await runStatement(url, `CREATE DATABASE "${name}" TEMPLATE "${original}"`);
  const database = connection(databaseUrl(url, name));
  afterAll(async () => {
    await database.close();
    for (const one of [name, away]) await runStatement(url, `DROP DATABASE IF EXISTS "${one}" WITH (FORCE)`);
  });
  const { api } = await startService({ database });
  const readOnly = await postgresDatabase(url, original);
  // This pool connects at its first query, after the database became read-only.
  const standby = connection(readOnly.url);
  const readers = await startService({ database: standby });
  const writers = await startService({ database: readOnly.database });
  afterAll(() => standby.close());

  test('the readiness check answers while slow statements hold every pool connection', async () => {
    const slow = Array.from({ length: 6 }, () => database.query({ text: 'SELECT pg_sleep(2)', values: [] }));
    const began = Date.now();
    await expect.poll(() => database.pool?.().waiting).toBe(4);
    for (let round = 0; round < 3; round += 1) await api.get('/health/ready').expect(200);
    expect(database.pool?.().waiting).toBeGreaterThan(0);
    expect(Date.now() - began).toBeLessThan(6000);
    await Promise.all(slow);
  });

  test('readiness reports a locked table as locked', async () => {
    let unlock = () => {};
    const locked = new Promise<void>((resolve) => {
      unlock = resolve;
    });
    let isLocked = () => {};
    const begun = new Promise<void>((resolve) => {
      isLocked = resolve;
    });
    const work = database.transaction(async (query) => {
      await query({ text: 'LOCK TABLE checkout_session IN ACCESS EXCLUSIVE MODE', values: [] });
      isLocked();
      await locked;
    });
    await begun;
    const { detail } = expectProblem(await api.get('/health/ready'), 503, 'database-unavailable');
    expect(detail).toContain('locked');
    unlock();
    await work;
  });

  test('concurrent health checks share one connection', async () => {
    await Promise.all(Array.from({ length: 20 }, () => api.get('/health/ready').expect(200)));
    const connections = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = '${name}' AND application_name = 'checkout-session-service health'`;
    expect(await runStatement(url, connections)).toEqual([{ count: 1 }]);
  });

  test('on a read-only database the service is ready, serves reads, and answers writes with 503', async () => {
    const body = sessionBody();
    const path = `${sessionsPath}/${body.id}`;
    await writers.api.post(sessionsPath).send(body).expect(201);
    await runStatement(
      url,
      `ALTER DATABASE "${new URL(readOnly.url).pathname.slice(1)}" SET default_transaction_read_only = on`,
    );
    const { api } = readers;
    const ready = await api.get('/health/ready').expect(200);
    expect(ready.body).toEqual({ status: 'ok', writable: false });
    expect((await api.get('/metrics').expect(200)).text).toContain('\ndatabase_writable 0\n');
    await api.get(path).expect(200);
    await api.get(sessionsPath).expect(200);
    expectProblem(await api.patch(path).send({ locale: 'de' }), 503, 'database-unavailable');
    expectProblem(await api.delete(path), 503, 'database-unavailable');
    expectProblem(await api.post(sessionsPath).send(sessionBody()), 503, 'database-unavailable');
    expect((await api.get(path).expect(200)).body.locale).toBe('');
  });

  test('readiness is lost with the database and returns with it', async () => {
    await api.get('/health/ready').expect(200);
    const pids = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`;
    await runStatement(url, pids);
    await runStatement(url, `ALTER DATABASE "${name}" RENAME TO "${away}"`);
    expectProblem(await api.get('/health/ready'), 503, 'database-unavailable');
    await api.get('/health/live').expect(200);

    await runStatement(url, `ALTER DATABASE "${away}" RENAME TO "${name}"`);
    await api.get('/health/ready').expect(200);
  });
}
