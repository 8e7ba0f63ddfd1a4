import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openPostgres } from '../src/database/engine/postgres.js';
import { onPostgres, testDatabase } from './support/database.js';
import { expectProblem, type Service, sessionBody, sessionsPath, startService } from './support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from './support/stripe.js';

const database = await testDatabase();
const slow = await startService({ database, environment: { REQUEST_TIMEOUT_MS: '300' } });
const few = await startService({ database, environment: { MAX_CONNECTIONS: '3' } });

/** Sends a text and returns everything received until the connection closes. */
async function exchange({ url }: Service, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  socket.on('error', () => {});
  let received = '';
  socket.on('data', (chunk: string) => {
    received += chunk;
  });
  socket.write(text);
  await once(socket, 'close');
  return received;
}

async function scraped({ api }: Service, series: string): Promise<number> {
  const { text } = await api.get('/metrics');
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1],
  );
}

test.each([
  ['a request with endless headers', `GET ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nX-Slow: `],
  [
    'a request with an endless body',
    `POST ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{`,
  ],
])('%s is 408 and its connection is closed', async (_, text) => {
  const began = Date.now();
  const received = await exchange(slow, text);
  expect(received).toMatch(/^HTTP\/1\.1 408 .*\r\nContent-Type: application\/problem\+json\r\n/);
  const [, id] = /\r\nX-Request-Id: (\S+)\r\n/.exec(received) ?? [];
  expect(received).toContain(`"request_id":"${id}"`);
  expect(received).toContain('urn:problem:request-timeout');
  expect(Date.now() - began).toBeLessThan(5000);
  await slow.api.get(sessionsPath).expect(200);
});

test('a silent connection is closed', async () => {
  const began = Date.now();
  await exchange(slow, '');
  expect(Date.now() - began).toBeLessThan(5000);
});

test('a connection over MAX_CONNECTIONS is closed and counted, and the others stay open', async () => {
  const { port } = new URL(few.url);
  const held = await Promise.all(
    [1, 2].map(async () => {
      const socket = connect(Number(port), '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  await few.api.get('/health/live').set('connection', 'close').expect(200);
  const third = connect(Number(port), '127.0.0.1');
  await once(third, 'connect');
  expect(await exchange(few, 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')).toBe('');
  for (const socket of [...held, third]) socket.destroy();
  await expect.poll(() => scraped(few, 'http_connections_dropped_total').catch(() => 0)).toBeGreaterThanOrEqual(1);
});

test('without RATE_LIMIT_PER_MINUTE no rate limit applies', async () => {
  const { headers } = await few.api.get(sessionsPath).set('connection', 'close').expect(200);
  expect(headers).not.toHaveProperty('ratelimit-limit');
});

test('the rate limit counts by key, and by address for requests without a valid key', async () => {
  const [one, other, read] = ['key-1-00000', 'key-2-00000', 'key-3-00000'];
  const environment = {
    ...{ API_KEYS: `${one},${other}`, API_READ_KEYS: read, RATE_LIMIT_PER_MINUTE: '4' },
    ...{ STRIPE_WEBHOOK_SECRETS: webhookSecret, TRUST_PROXY: 'loopback' },
  };
  const service = await startService({ database, environment });
  const ask = (key: string, address = '192.0.2.1') =>
    service.api.get(sessionsPath).set({ authorization: `Bearer ${key}`, 'x-forwarded-for': address });
  for (const left of [3, 2, 1, 0]) {
    const { headers } = await ask(one).expect(200);
    expect(headers).toMatchObject({ 'ratelimit-limit': '4', 'ratelimit-remaining': String(left) });
  }
  const refused = await ask(one, '192.0.2.9');
  expectProblem(refused, 429, 'too-many-requests');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(50);
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
  for (const key of [other, read]) await ask(key).expect(200);

  const guesses = ['guess-1', 'guess-2', 'guess-3', 'guess-4'];
  for (const guess of guesses) expectProblem(await ask(guess), 401, 'unauthorized');
  expectProblem(await ask('guess-5'), 429, 'too-many-requests');
  expectProblem(await ask('guess-5', '192.0.2.2'), 401, 'unauthorized');
  expect((await ask('guess-6', '2001:db8::1')).status).toBe(401);
  for (let host = 2; host <= 4; host += 1) await ask('guess-6', `2001:db8::${host}`).expect(401);
  expectProblem(await ask('guess-6', '2001:db8::5'), 429, 'too-many-requests');
  const { text } = await service.api.get('/metrics').set('authorization', `Bearer ${read}`).expect(200);
  expect(text).toContain('http_requests_refused_total{reason="rate-limited"} 3\n');

  for (let count = 0; count < 6; count += 1) {
    await service.api.get('/health/live').expect(200);
    await service.api.get('/health/ready').expect(200);
    await service.api.get('/metrics').set('authorization', `Bearer ${one}`).expect(200);
    await deliver(service.api, rawEvent(rawSession({ id: `cs_test_rate_${count}` }))).expect(200);
  }
});

/** Blocks the event loop. */
function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

if (onPostgres) {
  test('a lagging event loop turns requests away but not health checks, and then recovers', async () => {
    const environment = { MAX_EVENT_LOOP_DELAY_MS: '100', STRIPE_WEBHOOK_SECRETS: webhookSecret };
    const service = await startService({ database, environment });
    const event = rawEvent(rawSession({ id: 'cs_test_shed' }));
    let shed = await service.api.get(sessionsPath).expect(200);
    for (let tries = 0; shed.status === 200 && tries < 40; tries += 1) {
      block(400);
      shed = await service.api.get(sessionsPath);
    }
    expectProblem(shed, 503, 'overloaded');
    expect(Number(shed.headers['retry-after'])).toBeGreaterThan(0);
    expectProblem(await deliver(service.api, event), 503, 'overloaded');
    const stripes = await service.api.get('/v1/checkout/sessions').expect(503);
    expect(stripes.body).toEqual({ error: { type: 'api_error', message: expect.stringContaining('overloaded') } });
    for (const path of ['/health/live', '/health/ready']) await service.api.get(path).expect(200);
    expect(await scraped(service, 'http_requests_refused_total{reason="overloaded"}')).toBeGreaterThanOrEqual(2);
    await expect.poll(() => service.api.get(sessionsPath).then(({ status }) => status)).toBe(200);
    await deliver(service.api, event).expect(200);
  });

  test('a request that waits too long for a pool connection is 503 with Retry-After', async () => {
    // The only connection of this pool is in use.
    const url = (await database.query<{ name: string }>({ text: 'SELECT current_database() AS name', values: [] }))[0];
    const server = new URL(process.env.TEST_DATABASE_URL ?? '');
    server.pathname = `/${url?.name}`;
    const small = openPostgres({ url: server.href, poolSize: 1, statementTimeout: 400, preparedStatements: true });
    const { api } = await startService({ database: small });
    let release = () => {};
    const held = small.transaction(() => new Promise<void>((resolve) => (release = resolve)));
    await setTimeout(50);
    const began = Date.now();
    const response = await api.get(`${sessionsPath}/cs_test_1`);
    expectProblem(response, 503, 'database-unavailable');
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(Date.now() - began).toBeLessThan(2000);
    release();
    await held;
    await api.post(sessionsPath).send(sessionBody()).expect(201);
    await small.close();
  });
}
