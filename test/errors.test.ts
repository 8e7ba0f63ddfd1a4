import { readFile } from 'node:fs/promises';
import { STATUS_CODES } from 'node:http';
import pg from 'pg';
import { afterAll, expect, inject, test } from 'vitest';
import type { Database } from '../src/database/engine/database.js';
import { openPGlite } from '../src/database/engine/embedded.js';
import { openPostgres } from '../src/database/engine/postgres.js';
import { databaseProblem } from '../src/database/engine/sqlstate.js';
import { catalogue, invalid, Problem } from '../src/errors.js';
import { postgresDatabase } from './support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';

const entries = Object.entries(catalogue);
const template = inject('template');

const connection = (url: string, statementTimeout: number) =>
  openPostgres({ url, poolSize: 2, statementTimeout, preparedStatements: true });

/** Opens a database that the test closes itself. */
async function ownDatabase(): Promise<Database> {
  if (template.kind === 'embedded')
    return openPGlite({ loadDataDir: new Blob([await readFile(template.dumps.migrated)]) });
  return connection((await postgresDatabase(template.url, template.name)).url, 10_000);
}

const closing = await startService({ database: await ownDatabase() });
const broken = await startService();
const unreachable = connection('postgresql://postgres:hunter2@127.0.0.1:1/nowhere', 1000);
const { api: offline } = await startService({ database: unreachable });
afterAll(() => unreachable.close());

test.each(entries)('the problem %s has a status, a title and a description that is a sentence', (code, kind) => {
  expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
  expect(STATUS_CODES).toHaveProperty(String(kind.status));
  expect(kind.status).toBeGreaterThanOrEqual(400);
  expect(kind.title).toMatch(/^[A-Z].*[^.]$/);
  expect(kind.description).toMatch(/^[A-Z].*\.$/);
});

test('every problem has its own title', () => {
  expect(new Set(entries.map(([, { title }]) => title)).size).toBe(entries.length);
});

test("a problem document has RFC 9457's members and never its cause", () => {
  const problem = new Problem('internal', { cause: new Error('the password is hunter2') });
  expect(problem.document('/api/x', 'an-id')).toEqual({
    type: 'urn:problem:internal',
    title: catalogue.internal.title,
    status: 500,
    detail: catalogue.internal.description,
    instance: '/api/x',
    request_id: 'an-id',
  });
});

test('the detail of a single fault is the fault, that of several is their number', () => {
  const faults = ['/mode', '/id'].map((pointer) => ({ in: 'body' as const, pointer, detail: 'is required' }));
  expect(invalid(faults.slice(0, 1)).document('', '')).toMatchObject({
    status: 400,
    detail: 'mode: is required',
    errors: faults.slice(0, 1),
  });
  expect(invalid(faults).document('', '')).toMatchObject({ detail: expect.stringContaining('2'), errors: faults });
});

function failure(message: string, code?: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

test.each([
  ['08006', 'database-unavailable'],
  ['25006', 'database-unavailable'],
  ['55000', 'database-unavailable'],
  ['28P01', 'database-unavailable'],
  ['3D000', 'database-unavailable'],
  ['53300', 'database-unavailable'],
  ['54000', 'payload-too-large'],
  ['57014', 'query-timeout'],
  ['57P01', 'database-unavailable'],
  ['57P03', 'database-unavailable'],
  ['58030', 'database-unavailable'],
  ['ECONNREFUSED', 'database-unavailable'],
  ['ECONNRESET', 'database-unavailable'],
  ['ENOTFOUND', 'database-unavailable'],
  ['ETIMEDOUT', 'database-unavailable'],
])('the database error code %s becomes %s', (code, expected) => {
  const error = failure('internal text', code);
  const problem = databaseProblem(error);
  expect(problem?.code).toBe(expected);
  expect(problem?.cause).toBe(error);
  expect(problem?.message).not.toContain('internal text');
});

test.each([
  'timeout exceeded when trying to connect',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
])('a driver error "%s" without a code becomes database-unavailable', (message) => {
  expect(databaseProblem(failure(message))?.code).toBe('database-unavailable');
});

test.each([
  failure('duplicate key', '23505'),
  failure('no such column', '42703'),
  failure('anything'),
  'a string',
  null,
  undefined,
])('an unknown error has no problem of its own and becomes a 500: %s', (error) => {
  expect(databaseProblem(error)).toBeUndefined();
});

test('requests on a closed database fail without internal text', async () => {
  const { api, database } = closing;
  await database.close();
  const body = sessionBody();
  for (const request of [api.get(sessionsPath), api.get(`${sessionsPath}/x`), api.post(sessionsPath).send(body)]) {
    const response = await request;
    expect([500, 503]).toContain(response.status);
    expectProblem(response, response.status, response.status === 503 ? 'database-unavailable' : 'internal');
    expect(response.text).not.toMatch(/pool|pglite|closed|SELECT|INSERT|\.[jt]s\b/i);
  }
});

test('an unexpected database error is a 500 without its statement or message', async () => {
  const { api, database } = broken;
  await database.query({ text: 'ALTER TABLE checkout_session RENAME COLUMN document TO lost_document', values: [] });
  const response = await api.get(`${sessionsPath}?customer=jane`);
  const { detail, instance } = expectProblem(response, 500, 'internal');
  expect(detail).toBe(catalogue.internal.description);
  expect(instance).toBe(sessionsPath);
  expect(response.text).not.toMatch(/document|column|SELECT|42703|jane/);
});

test.each([sessionsPath, `${sessionsPath}/x`, '/api/enums', '/api/enums/mode', '/health/ready'])(
  'without a reachable database %s is 503 database-unavailable',
  async (path) => {
    const response = await offline.get(path);
    expectProblem(response, 503, 'database-unavailable');
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(response.text).not.toMatch(/hunter2|nowhere|127\.0\.0\.1:1|ECONNREFUSED/);
  },
);

if (template.kind === 'postgres') {
  const { url } = await postgresDatabase(template.url, template.name);
  const impatient = connection(url, 300);
  const { api } = await startService({ database: impatient });
  afterAll(() => impatient.close());

  test('a statement past its timeout is 503 query-timeout, and the service continues', async () => {
    // Waiting for a lock exceeds the timeout every time.
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE checkout_session');
      expectProblem(await api.get(`${sessionsPath}/cs_test_1`), 503, 'query-timeout');
      expectProblem(await api.get(sessionsPath).query({ locale__icontains: 'x' }), 503, 'query-timeout');
    } finally {
      await holder.end();
    }
    await api.get(sessionsPath).expect(200);
  });
}
