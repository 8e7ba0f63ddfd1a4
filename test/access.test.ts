import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import pino from 'pino';
import { expect, test } from 'vitest';
import { testDatabase } from './support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';

const fullKey = 'full-key-0000000001';
const nextKey = 'full-key-0000000002';
const readKey = 'read-key-0000000001';

const collected = (lines: string[]) => pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
const log: string[] = [];
const failures: string[] = [];
const database = await testDatabase();
const keyed = await startService({
  database,
  environment: { API_KEYS: `shop ${fullKey},${nextKey}`, API_READ_KEYS: readKey, BODY_LIMIT: '1000' },
  logger: collected(log),
});
const local = await startService({ database });
const failing = await startService({ logger: collected(failures) });
const open = await startService({ database, environment: { ALLOW_ANONYMOUS: 'true', HOST: '0.0.0.0' } });

/** Resolves to everything the socket receives until it closes. */
async function received(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const writes = [
  ['post', sessionsPath],
  ['put', `${sessionsPath}/cs_test_1`],
  ['patch', `${sessionsPath}/cs_test_1`],
  ['delete', `${sessionsPath}/cs_test_1`],
] as const;
const outside = ['/health/live', '/health/ready', '/openapi.json', '/openapi.yaml', '/docs/', '/docs/static/index.css'];

test.each([
  ['no key', {}],
  ['another key', bearer('another-key')],
  ['a wrong key of the same length', bearer('full-key-0000000003')],
  ['a key with more behind it', bearer(`${fullKey}0`)],
  ['a part of a key', bearer(fullKey.slice(0, -1))],
  ['two keys', bearer(`${fullKey},${nextKey}`)],
  ['an empty key', { authorization: 'Bearer ' }],
  ['a bare key', { authorization: fullKey }],
  ['a key with its name', bearer(`shop ${fullKey}`)],
  ['the name of a key', bearer('shop')],
  ['another scheme', { authorization: `Basic ${Buffer.from(`${fullKey}:`).toString('base64')}` }],
  ['the key in another header', { 'x-api-key': fullKey }],
])('a request with %s is 401, and the answer says to send a Bearer key', async (_, headers) => {
  for (const method of ['get', 'post'] as const) {
    const response = await keyed.api[method](sessionsPath).set(headers);
    expectProblem(response, 401, 'unauthorized');
    expect(response.headers['www-authenticate']).toBe('Bearer');
  }
});

test('each request on a kept connection is authorised by its own key', async () => {
  const requests = [
    ['GET', bearer(fullKey), 200],
    ['GET', bearer('full-key-0000000003'), 401],
    ['GET', {}, 401],
    ['GET', bearer(readKey), 200],
    ['DELETE', bearer(readKey), 403],
    ['DELETE', bearer(fullKey), 404],
    ['DELETE', bearer(readKey), 403],
    ['GET', bearer(nextKey), 200],
    ['GET', { ...bearer('x'), connection: 'close' }, 401],
  ] as const;
  const socket = connect(Number(new URL(keyed.url).port), '127.0.0.1');
  for (const [method, headers] of requests) {
    const path = method === 'GET' ? sessionsPath : `${sessionsPath}/cs_test_none`;
    const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  }
  expect([...(await received(socket)).matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))).toEqual(
    requests.map(([, , status]) => status),
  );
});

test('a key in the query string is not accepted', async () => {
  expectProblem(await keyed.api.get(`${sessionsPath}?access_token=${fullKey}`), 401, 'unauthorized');
});

test('every key in API_KEYS has full access, so keys can be rotated', async () => {
  for (const key of [fullKey, nextKey]) {
    const { id, ...rest } = sessionBody();
    const path = `${sessionsPath}/${id}`;
    await keyed.api
      .post(sessionsPath)
      .set(bearer(key))
      .send({ id, ...rest })
      .expect(201);
    await keyed.api
      .put(path)
      .set(bearer(key))
      .send({ id, ...rest })
      .expect(200);
    await keyed.api.patch(path).set(bearer(key)).send({ locale: 'de' }).expect(200);
    await keyed.api.get(path).set(bearer(key)).expect(200);
    await keyed.api.delete(path).set(bearer(key)).expect(204);
  }
});

test.each(['bearer', 'BEARER', 'Token', 'token'])('the authorization scheme %s is accepted', async (scheme) => {
  await keyed.api.get(sessionsPath).set('authorization', `${scheme} ${fullKey}`).expect(200);
  await keyed.api.post(sessionsPath).set('authorization', `${scheme} ${readKey}`).send(sessionBody()).expect(403);
  expectProblem(await keyed.api.get(sessionsPath).set('authorization', `${scheme} shop`), 401, 'unauthorized');
});

test.each([sessionsPath, '/api/enums', '/api/enums/mode'])('a read key can read %s', async (path) => {
  await keyed.api.get(path).set(bearer(readKey)).expect(200);
  await keyed.api.head(path).set(bearer(readKey)).expect(200);
});

test.each(writes)('a read key that tries to %s is 403 and changes nothing', async (method, path) => {
  const body = sessionBody({ id: 'cs_test_1' });
  await keyed.api.put(`${sessionsPath}/cs_test_1`).set(bearer(fullKey)).send(body);
  const before = await keyed.api.get(`${sessionsPath}/cs_test_1`).set(bearer(readKey)).expect(200);
  const response = await keyed.api[method](path).set(bearer(readKey)).send({ locale: 'de' });
  expectProblem(response, 403, 'forbidden');
  const after = await keyed.api.get(`${sessionsPath}/cs_test_1`).set(bearer(readKey)).expect(200);
  expect(after.body).toEqual(before.body);
});

test.each(outside)('%s needs no key even when keys are configured', async (path) => {
  await keyed.api.get(path).expect(200);
});

test('an unknown path is 404 and a wrong method 405, with or without a key', async () => {
  for (const path of ['/api', '/api/nothing', '/nothing']) expectProblem(await keyed.api.get(path), 404, 'not-found');
  const response = await keyed.api.delete(sessionsPath);
  expectProblem(response, 405, 'method-not-allowed');
  expect(response.headers.allow).toMatch(/GET/);
});

const badRequests = [
  ['malformed JSON', 'application/json', '{"id":', 400],
  ['an invalid body', 'application/json', '{}', 400],
  ['a body over the limit', 'application/json', `{"description":"${'x'.repeat(2000)}"}`, 413],
  ['a media type it does not take', 'text/csv', 'a,b', 415],
] as const;

test.each(badRequests)('the key is checked before %s is rejected', async (_, type, body, status) => {
  const send = (key: string) => keyed.api.post(sessionsPath).set('content-type', type).set(bearer(key)).send(body);
  expectProblem(await send('another-key'), 401, 'unauthorized');
  expectProblem(await send(readKey), 403, 'forbidden');
  expect((await send(fullKey)).status).toBe(status);
});

test('the key is checked before the path and the query are parsed', async () => {
  for (const path of [`${sessionsPath}/%00`, `${sessionsPath}?nonsense=1`, `${sessionsPath}/unknown`]) {
    expectProblem(await keyed.api.get(path), 401, 'unauthorized');
    expect((await keyed.api.get(path).set(bearer(fullKey))).status).not.toBe(401);
  }
});

test('with keys, any Host, Origin and forwarded header is accepted', async () => {
  await keyed.api
    .get(sessionsPath)
    .set(bearer(fullKey))
    .set({ host: 'sessions.example.com', origin: 'https://shop.example.com', 'x-forwarded-for': '10.0.0.1' })
    .expect(200);
});

test.each(['localhost', 'LOCALHOST', 'localhost:3000', '127.0.0.1', '127.0.0.1:80', '[::1]', '[::1]:3000'])(
  'without keys the Host %s counts as this machine',
  async (host) => {
    await local.api.get(sessionsPath).set({ host }).expect(200);
  },
);

test.each([
  'rebound.example.com',
  'localhost.example.com',
  'example.com:3000',
  '127.0.0.1.example.com',
  '192.168.1.5',
  '0.0.0.0',
  'localhost@example.com',
  '[::1].example.com',
])('without keys the Host %s is 421, to stop DNS rebinding', async (host) => {
  for (const [method, path] of [['get', sessionsPath], ...writes] as const) {
    expectProblem(await local.api[method](path).set({ host }), 421, 'misdirected-request');
  }
});

test('without keys a request with no Host is refused', async () => {
  const socket = connect(Number(new URL(local.url).port), '127.0.0.1');
  socket.end(`GET ${sessionsPath} HTTP/1.0\r\n\r\n`);
  expect(await received(socket)).toMatch(/^HTTP\/1\.1 4(00|21) /);
});

test.each([
  ['another origin', { origin: 'https://shop.example.com' }],
  ['a local origin on another port', { origin: 'http://localhost:8080' }],
  ['an opaque origin', { origin: 'null' }],
  ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
  ['a page of the same site and another origin', { 'sec-fetch-site': 'same-site' }],
])('without keys a request from %s is 403', async (_, headers) => {
  for (const [method, path] of [['get', sessionsPath], ...writes] as const) {
    expectProblem(await local.api[method](path).set(headers), 403, 'forbidden');
  }
});

test('without keys a same-origin page such as /docs can read and write', async () => {
  const { host } = new URL(local.url);
  for (const name of [host, 'localhost:3000', '[::1]:3000']) {
    await local.api
      .post(sessionsPath)
      .set({ host: name, origin: `http://${name}`, 'sec-fetch-site': 'same-origin' })
      .send(sessionBody())
      .expect(201);
  }
  await local.api.get(sessionsPath).set('sec-fetch-site', 'none').expect(200);
});

test.each(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'])(
  'without keys a request with the proxy header %s is 403',
  async (name) => {
    for (const value of ['10.0.0.1', '']) {
      const response = await local.api.get(sessionsPath).set(name, value);
      expect(expectProblem(response, 403, 'forbidden').detail).toContain(name);
    }
  },
);

test('ALLOW_ANONYMOUS accepts every request, whatever its Host and Origin', async () => {
  const headers = {
    host: 'sessions.example.com',
    origin: 'https://shop.example.com',
    'sec-fetch-site': 'cross-site',
    'x-forwarded-for': '10.0.0.1',
  };
  await open.api.get(sessionsPath).set(headers).expect(200);
  await open.api.post(sessionsPath).set(headers).send(sessionBody()).expect(201);
});

test('no valid or invalid key ever appears in the log', async () => {
  const before = log.length;
  const wrongKey = 'wrong-key-0000000001';
  for (const key of [fullKey, nextKey, readKey, wrongKey]) {
    for (const [method, path] of [['get', sessionsPath], ['get', '/nothing'], ...writes] as const) {
      await keyed.api[method](path).set(bearer(key)).query({ key }).send({ description: key });
    }
  }
  expect(log.length).toBeGreaterThanOrEqual(before + 24);
  for (const key of [fullKey, nextKey, readKey, wrongKey]) expect(log.join('')).not.toContain(key);
});

test('each request logs one line with route, session, status, duration and request id', async () => {
  log.length = 0;
  const { id, ...rest } = sessionBody();
  const path = `${sessionsPath}/${id}`;
  await keyed.api
    .put(path)
    .set(bearer(fullKey))
    .send({ id, ...rest })
    .expect(201);
  await keyed.api.get(`${path}/`).set(bearer(fullKey)).expect(200);
  await keyed.api.get(`${sessionsPath}?customer=cus_1`).set(bearer(fullKey)).expect(200);
  const { body } = await keyed.api.get('/api/nothing/at/all').expect(404);
  await expect.poll(() => log.length).toBe(4);
  const lines = log.map((line) => JSON.parse(line));
  const route = `${sessionsPath}/:id`;
  expect(lines[0]).toMatchObject({ method: 'PUT', route, session: id, status: 201, msg: 'request' });
  expect(lines[1]).toMatchObject({ method: 'GET', route, session: id, status: 200 });
  expect(lines[2]).toMatchObject({ method: 'GET', route: sessionsPath, status: 200 });
  expect(lines[3]).toMatchObject({ method: 'GET', status: 404, request_id: body.request_id });
  for (const line of lines) {
    expect(line.duration_ms).toBeGreaterThan(0);
    expect(line).not.toHaveProperty('client');
  }
});

test('the log line names the key by its name or position, and omits an invalid key', async () => {
  log.length = 0;
  for (const key of [fullKey, nextKey, readKey, 'shop']) await keyed.api.get(sessionsPath).set(bearer(key));
  await keyed.api.get('/health/live').set(bearer(fullKey));
  await expect.poll(() => log.length).toBe(5);
  expect(log.map((line) => JSON.parse(line).key)).toEqual(['shop', '#2', 'read#1', undefined, undefined]);
});

test('LOG_CLIENT_ADDRESS logs the peer, or the forwarded address when the proxy is trusted', async () => {
  const address = '192.0.2.7';
  for (const [TRUST_PROXY, client] of [
    ['', '127.0.0.1'],
    ['loopback', address],
  ] as const) {
    const lines: string[] = [];
    const environment = { API_KEYS: fullKey, LOG_CLIENT_ADDRESS: 'true', TRUST_PROXY };
    const { api, url } = await startService({ database, environment, logger: collected(lines) });
    lines.length = 0;
    await api.get(sessionsPath).set('x-forwarded-for', address).expect(401);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`POST ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: ${address}\r\n`);
    socket.write(
      `Authorization: Bearer ${fullKey}\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.destroy();
    await expect.poll(() => lines.length).toBe(2);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { status: 401, client },
      { status: 499, client, key: '#1' },
    ]);
  }
});

const customer = 'jane.doe.private';

test('query strings and bodies never appear in the log', async () => {
  log.length = 0;
  const body = sessionBody({ customer_email: `${customer}@example.com`, metadata: { name: customer } });
  const as = bearer(fullKey);
  await keyed.api.post(sessionsPath).set(as).send(body).expect(201);
  await keyed.api.post(sessionsPath).set(as).send(body).expect(409);
  await keyed.api
    .post(sessionsPath)
    .set(as)
    .send({ customer_email: customer, [customer]: 1 })
    .expect(400);
  await keyed.api.post(sessionsPath).set(as).type('json').send(`{"customer_email":"${customer}`).expect(400);
  await keyed.api.get(sessionsPath).set(as).query({ customer_email: customer }).expect(200);
  await keyed.api
    .get(sessionsPath)
    .set(as)
    .query({ [customer]: customer })
    .expect(400);
  await keyed.api.get('/nothing').query({ customer }).expect(404);
  await keyed.api.get(sessionsPath).query({ customer }).expect(401);
  await expect.poll(() => log.length).toBe(8);
  expect(log.join('')).not.toContain(customer);
});

test('a database error is logged without the data of the request', async () => {
  await failing.database.query({
    text: `ALTER TABLE checkout_session ADD CONSTRAINT no_one CHECK (customer_email NOT LIKE '%@example.com')`,
    values: [],
  });
  failures.length = 0;
  const body = sessionBody({ customer_email: `${customer}@example.com` });
  const response = await failing.api.post(sessionsPath).send(body);
  expectProblem(response, 500, 'internal');
  expect(response.text).not.toMatch(/no_one|jane/);
  await expect.poll(() => failures.length).toBe(2);
  expect(failures.join('')).toMatch(/23514/);
  expect(failures.join('')).not.toContain(customer);
});

test.each(['a b', '%%%', '[::1', 'x:99999', 'a/b', 'a?b', 'someone@example.com'])(
  'the malformed Host %s is 400, and nothing is stored',
  async (host) => {
    expectProblem(await open.api.get(`${sessionsPath}?limit=1`).set('host', host), 400, 'malformed-request');
    const sent = sessionBody();
    await open.api.post(sessionsPath).set('host', host).send(sent).expect(400);
    await open.api.get(`${sessionsPath}/${sent.id}`).expect(404);
  },
);
