import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import supertest from 'supertest';
import { afterAll, expect, inject, test } from 'vitest';
import { version } from '../src/version.js';
import { postgresDatabase, processDatabase } from './support/database.js';
import { databaseUrl } from './support/postgres.js';
import { type Exit, launchProcess, occupiedPort, parseLog, runToExit, startProcess } from './support/process.js';
import { sessionBody, sessionsPath } from './support/service.js';
import { startTcpProxy } from './support/tcp-proxy.js';

const template = inject('template');
const stackTrace = /^\s+at /m;

/** Returns the environment of a service on an empty database. */
async function emptyDatabase(): Promise<Record<string, string>> {
  if (template.kind === 'postgres') return { DATABASE_URL: (await postgresDatabase(template.url, 'template0')).url };
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'checkout-session-process-'));
  afterAll(() => rm(DATA_DIR, { recursive: true, force: true }));
  return { DATA_DIR };
}

// Databases are created here because their removal is a hook of the file. A new one takes seconds, so every test that
// starts from a migrated database shares this one; no test leaves a process on it.
const { environment: migrated, use } = await processDatabase();
const empty = await emptyDatabase();
const behind = await emptyDatabase();

/** Expects a start to have failed with words that help the operator, and without a stack trace. */
function expectRefused({ code, stdout, stderr }: Exit, ...words: string[]): void {
  expect(code).toBe(1);
  for (const word of words) expect(stderr).toContain(word);
  expect(stderr).not.toMatch(stackTrace);
  expect(stdout).not.toContain('listening');
}

test('the service migrates, stores a session, exits with 0 on SIGTERM, and still has the session after a restart', async () => {
  const body = sessionBody();
  const first = await startProcess(empty);
  await supertest(first.url).post(sessionsPath).send(body).expect(201);
  await supertest(first.url).get('/health/ready').expect(200);
  first.kill('SIGTERM');
  expect(await first.exited).toMatchObject({ code: 0, signal: null, stderr: '' });

  const second = await startProcess(empty);
  const { body: found } = await supertest(second.url).get(`${sessionsPath}/${body.id}`).expect(200);
  expect(found).toMatchObject(body);
  expect(second.output()).not.toContain('migrated');
  second.kill('SIGINT');
  expect(await second.exited).toMatchObject({ code: 0, stderr: '' });
});

test('after kill -9 the service restarts with every acknowledged session', async () => {
  const bodies = Array.from({ length: 20 }, () => sessionBody());
  const first = await startProcess(migrated);
  for (const body of bodies) await supertest(first.url).post(sessionsPath).send(body).expect(201);
  first.kill('SIGKILL');
  expect(await first.exited).toMatchObject({ signal: 'SIGKILL' });

  const { url } = await startProcess(migrated);
  for (const { id } of bodies) await supertest(url).get(`${sessionsPath}/${id}`).expect(200);
  await supertest(url).post(sessionsPath).send(sessionBody()).expect(201);
});

test('with MIGRATE_ON_START=false the service refuses to start on a database without migrations', async () => {
  const exit = await runToExit({ ...behind, MIGRATE_ON_START: 'false' });
  expectRefused(exit, 'npm run migrate', 'MIGRATE_ON_START');
});

// Uses the database refused above and migrates it: creating another embedded one takes seconds.
test('every log line is one JSON object with time, level and message', async () => {
  const service = await startProcess({ ...behind, LOG_LEVEL: 'trace' });
  await supertest(service.url).get(`${sessionsPath}?customer=cus_secret`).expect(200);
  await supertest(service.url).post(sessionsPath).send({}).expect(400);
  service.kill('SIGTERM');
  const { stdout } = await service.exited;
  const lines = parseLog(stdout);
  for (const { time, level, msg } of lines) {
    expect(new Date(time as string).toISOString()).toBe(time);
    expect(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).toContain(level);
    expect(msg).toEqual(expect.any(String));
  }
  expect(lines.map(({ msg }) => msg)).toEqual(
    expect.arrayContaining(['migrated', 'listening', 'request', 'stopping', 'stopped']),
  );
  // Only npm start prints the addresses and the curl commands.
  expect(stdout).not.toMatch(/cus_secret|curl/);
});

/** Sends the headers of a POST. Resolves when the service asks for the body. */
async function halfSent(url: string, body: string, connection: 'close' | 'keep-alive' = 'close') {
  const { port, host } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
  const received = { text: '' };
  socket.on('error', () => {});
  socket.on('data', (text: string) => {
    received.text += text;
  });
  socket.write(
    `POST ${sessionsPath} HTTP/1.1\r\nHost: ${host}\r\nConnection: ${connection}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await once(socket, 'data');
  expect(received.text).toMatch(/^HTTP\/1\.1 100 /);
  return { socket, received };
}

test('a request in flight at SIGTERM is finished and stored', async () => {
  const body = sessionBody();
  const service = await startProcess(migrated);
  const { socket, received } = await halfSent(service.url, JSON.stringify(body));
  service.kill('SIGTERM');
  await service.until('"msg":"stopping"');
  socket.write(JSON.stringify(body));
  await once(socket, 'close');
  expect(received.text).toMatch(/\r\n\r\nHTTP\/1\.1 201 /);
  expect(await service.exited).toMatchObject({ code: 0 });

  const text = 'SELECT id FROM checkout_session WHERE id = $1';
  expect(await use((database) => database.query({ text, values: [body.id] }))).toHaveLength(1);
});

test('a keep-alive connection does not delay shutdown after its answer', async () => {
  const body = JSON.stringify(sessionBody());
  const service = await startProcess(migrated);
  const { socket, received } = await halfSent(service.url, body, 'keep-alive');
  service.kill('SIGTERM');
  await service.until('"msg":"stopping"');
  socket.write(body);
  expect(await service.exited).toMatchObject({ code: 0 });
  expect(received.text).toMatch(/\r\n\r\nHTTP\/1\.1 201 /);
});

test('an idle connection and one that never sent a byte do not delay shutdown', async () => {
  const service = await startProcess(migrated);
  const port = Number(new URL(service.url).port);
  const silent = connect(port, '127.0.0.1');
  await once(silent, 'connect');
  // Once this later connection is answered, the service has accepted the silent one.
  const idle = connect(port, '127.0.0.1');
  idle.write(`GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await once(idle, 'data');
  service.kill('SIGTERM');
  expect(await service.exited).toMatchObject({ code: 0 });
});

test('during shutdown the service refuses new connections', async () => {
  const service = await startProcess(migrated);
  const { socket } = await halfSent(service.url, '{}');
  service.kill('SIGTERM');
  await service.until('"msg":"stopping"');
  const attempt = () =>
    fetch(`${service.url}/health/live`).then(
      () => 'answered',
      ({ cause }) => cause.code,
    );
  await expect.poll(attempt).toBe('ECONNREFUSED');
  socket.destroy();
  expect(await service.exited).toMatchObject({ code: 0 });
});

test('a request that never ends delays shutdown by SHUTDOWN_TIMEOUT_MS at most, and the exit code is 1', async () => {
  const service = await startProcess({ ...migrated, SHUTDOWN_TIMEOUT_MS: '300' });
  await halfSent(service.url, '{}');
  const began = Date.now();
  service.kill('SIGTERM');
  const { code, stdout } = await service.exited;
  expect(code).toBe(1);
  expect(Date.now() - began).toBeGreaterThanOrEqual(300);
  expect(Date.now() - began).toBeLessThan(5000);
  expect(stdout).toContain('timeout');
});

test('a wrong configuration exits with 1 and lists every fault without a stack trace', async () => {
  const exit = await runToExit({ PORT: 'http', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://root:hunter2@db/x' });
  expectRefused(exit, 'PORT', 'LOG_LEVEL', 'DATABASE_URL');
  expect(exit.stderr).not.toContain('hunter2');
  expect(exit.stdout).toBe('');
});

test('a public HOST without a key exits with 1 and names both remedies', async () => {
  expectRefused(await runToExit({ HOST: '0.0.0.0' }), 'HOST', 'API_KEYS', 'ALLOW_ANONYMOUS');
});

test('short keys and malformed webhook secrets exit with 1 on a public HOST', async () => {
  const exit = await runToExit({ HOST: '0.0.0.0', API_KEYS: 'hunter2', STRIPE_WEBHOOK_SECRETS: 'hunter3' });
  expectRefused(exit, 'API_KEYS', 'openssl rand -hex 32', 'STRIPE_WEBHOOK_SECRETS', 'whsec_');
  expect(exit.stderr).not.toMatch(/hunter/);
});

test('startup logs the enabled features and warns of suspicious settings without showing secrets', async () => {
  const service = await startProcess({
    ...migrated,
    ...{ API_KEYS: 'hunter2,shop hunter3-0000000000', API_READ_KEYS: 'hunter4-0000000000', STRIPE_LIVEMODE: 'test' },
    ...{ STRIPE_WEBHOOK_SECRETS: 'whsec_hunter5', STRIPE_API_KEYS: 'sk_test_hunter6,sk_live_hunter7' },
    ...{ SHUTDOWN_DRIAN_MS: 'hunter8' },
  });
  expect(service.output()).not.toContain('hunter');
  const lines = parseLog(service.output());
  expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
    'SHUTDOWN_DRIAN_MS is set, and is no variable of this service: did you mean SHUTDOWN_DRAIN_MS?',
    expect.stringMatching(/^API_KEYS and API_READ_KEYS take keys of 16 characters or more, and #1 is shorter/),
  ]);
  expect(lines.find(({ msg }) => msg === 'listening')).toMatchObject({
    ...{ version, address: service.url, api_keys: '2 full, 1 read', open_to: 'keys', webhook: true },
    ...{ stripe_keys: 'test', livemode: 'test', catch_up_minutes: 0, traces: false },
  });
  const { body } = await supertest(service.url).get('/health/live').expect(200);
  expect(body).toEqual({ status: 'ok', version });
});

test('a port in use exits with 1 and names the port', async () => {
  const port = await occupiedPort();
  const exit = await runToExit({ ...migrated, PORT: String(port) });
  expectRefused(exit, 'PORT', String(port));
});

test('npm start prints the addresses and two curl commands, which work', async () => {
  const service = await startProcess({ ...migrated, npm_lifecycle_event: 'start' });
  await service.until('cs_test_1\n');
  const output = service.output();
  expect(output).toContain(`${service.url}${sessionsPath}\n`);
  expect(output).toContain(`${service.url}/docs\n`);
  expect(output).toContain(`${service.url}/console\n`);
  await supertest(service.url).get('/docs').redirects(1).expect(200);

  const [post = '', get = ''] = output.split('\n').filter((line) => line.trim().startsWith('curl '));
  const body = JSON.parse(/-d "(.*)"$/.exec(post)?.[1]?.replaceAll('\\"', '"') ?? '');
  expect(post).toContain(`${service.url}${sessionsPath} `);
  await supertest(service.url).post(sessionsPath).send(body).expect(201);
  const address = get.trim().split(' ').at(-1) as string;
  expect(address).toContain(service.url);
  await supertest(address).get('').expect(200);
});

if (template.kind === 'embedded') {
  test('a second process on the same DATA_DIR is refused with the reason, and the first continues', async () => {
    const { url } = await startProcess(migrated);
    const exit = await runToExit(migrated);
    expectRefused(exit, migrated.DATA_DIR as string, 'DATA_DIR', 'DATABASE_URL');
    expect(exit.stderr.trim().split('\n')).toHaveLength(1);
    await supertest(url).post(sessionsPath).send(sessionBody()).expect(201);
  });

  test('of two processes started after a kill -9, one serves and the other is refused', async () => {
    const killed = await startProcess(migrated);
    killed.kill('SIGKILL');
    await killed.exited;
    const settled = await Promise.allSettled([startProcess(migrated), startProcess(migrated)]);
    const serving = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const refused = settled.flatMap((one) => (one.status === 'rejected' ? String(one.reason) : []));
    expect(serving).toHaveLength(1);
    expect(refused.join()).toContain('DATA_DIR');
    for (const { url } of serving) await supertest(url).post(sessionsPath).send(sessionBody()).expect(201);
  });
}

if (template.kind === 'postgres') {
  const { url: shared, database } = await postgresDatabase(template.url, 'template0');
  const late = await startTcpProxy(migrated.DATABASE_URL as string);

  test('four processes started at once on an empty database all serve, and one of them migrates it', async () => {
    const services = await Promise.all([1, 2, 3, 4].map(() => startProcess({ DATABASE_URL: shared })));
    for (const { url } of services) await supertest(url).post(sessionsPath).send(sessionBody()).expect(201);
    const applied = await database.query<{ migration_name: string; finished: boolean }>({
      text: `SELECT migration_name, finished_at IS NOT NULL AND rolled_back_at IS NULL AS finished
        FROM _prisma_migrations`,
      values: [],
    });
    expect(applied.length).toBeGreaterThan(0);
    expect(applied.every(({ finished }) => finished)).toBe(true);
    expect(new Set(applied.map((row) => row.migration_name)).size).toBe(applied.length);
    expect(services.filter((service) => service.output().includes('"msg":"migrated"'))).toHaveLength(1);
  });

  const withPassword = (url: string) => url.replace(/\/\/([^@/]*)@/, '//$1:hunter2@');

  test('a missing database exits with 1 at once, is named, and its password is not shown', async () => {
    const url = databaseUrl(template.url, 'checkout_session_absent');
    const exit = await runToExit({ DATABASE_URL: withPassword(url) });
    expect(`${exit.stdout}${exit.stderr}`).not.toContain('hunter2');
    expectRefused(exit, 'checkout_session_absent');
    expect(exit.stdout).toBe('');
  });

  test('a server that does not listen is retried until DATABASE_START_TIMEOUT_MS, then named, and the exit code is 1', async () => {
    const DATABASE_URL = withPassword('postgresql://postgres@127.0.0.1:1/sessions');
    const exit = await runToExit({ DATABASE_URL, DATABASE_START_TIMEOUT_MS: '1000' });
    expect(`${exit.stdout}${exit.stderr}`).not.toContain('hunter2');
    expectRefused(exit, '127.0.0.1:1');
    const lines = parseLog(exit.stdout);
    expect(lines.map(({ again_in_ms }) => again_in_ms)).toEqual([250, 500]);
    for (const { msg, err } of lines) {
      expect(msg).toBe('the database cannot be reached yet');
      expect(err).toMatchObject({ type: 'Error', code: 'ECONNREFUSED' });
    }
  });

  test('a server that listens late is used, and SIGTERM during the wait exits with 0', async () => {
    await late.refuse();
    const starting = startProcess({ DATABASE_URL: late.url });
    const waiting = launchProcess({ DATABASE_URL: late.url });
    await waiting.until('cannot be reached yet');
    waiting.kill('SIGTERM');
    expect(await waiting.exited).toMatchObject({ code: 0, signal: null, stderr: '' });
    await late.open();
    await supertest((await starting).url)
      .get('/health/ready')
      .expect(200);
  });
}
