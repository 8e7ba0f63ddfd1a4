import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { testDatabase } from './support/database.js';
import { expectProblem, type Service, sessionBody, sessionsPath, startService } from './support/service.js';

const database = await testDatabase();
const key = 'full-key-0000000001';
const local = await startService({ database, environment: { BODY_LIMIT: '100000' } });
const keyed = await startService({ database, environment: { API_KEYS: key } });

/** Sends bytes and reads until the server closes. Returns the status codes and the last body. */
async function exchange({ url }: Service, text: string) {
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  const received = Buffer.concat(chunks).toString();
  const [head = '', body = ''] = received.split(/\r\n\r\n(?=.*$)/s).slice(-2);
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { received, head, body, statuses };
}

const get = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n');
const enums = '/api/enums';
const host = 'Host: localhost';
const post = (...headers: string[]) => `POST ${sessionsPath} HTTP/1.1\r\n${[host, ...headers].join('\r\n')}\r\n\r\n`;

test.each([
  ['no Host', `GET ${enums} HTTP/1.1\r\n\r\n`, 400, 'malformed-request'],
  ['no Host at an unknown path', get('/nowhere'), 400, 'malformed-request'],
  ['an absolute URL without a Host', get(`http://localhost${enums}`), 400, 'malformed-request'],
  ['an unknown expectation', get(enums, host, 'Expect: x'), 417, 'expectation-failed'],
  ['a CONNECT request', `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n\r\n`, 405, 'method-not-allowed'],
  ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`, 404, 'not-found'],
  ['two lengths', post('Content-Length: 2', 'Content-Length: 3'), 400, 'malformed-request'],
  ['a length and chunks', post('Content-Length: 2', 'Transfer-Encoding: chunked'), 400, 'malformed-request'],
  [
    'malformed chunks',
    `${post('Content-Type: application/json', 'Transfer-Encoding: chunked')}zz\r\n`,
    400,
    'malformed-request',
  ],
  ['endless headers', get(enums, host, `X-A: ${'y'.repeat(40_000)}`), 431, 'headers-too-large'],
  ['another version', `GET ${enums} HTTP/3.0\r\n${host}\r\n\r\n`, 400, 'malformed-request'],
  ['no HTTP', 'hello\r\n\r\n', 400, 'malformed-request'],
])('a request with %s is answered with a problem document', async (_, text, status, code) => {
  const { head, body, statuses } = await exchange(local, text);
  expect(statuses).toEqual([status]);
  expect(head.toLowerCase()).toContain('content-type: application/problem+json');
  expect(head.toLowerCase()).toContain('x-request-id: ');
  expect(JSON.parse(body)).toMatchObject({ type: `urn:problem:${code}`, status });
});

test('CONNECT requests that are reset at once do not harm the service', async () => {
  for (let round = 0; round < 20; round += 1) {
    const socket = connect(Number(new URL(local.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    socket.write(`CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n\r\n`, () => socket.resetAndDestroy());
  }
  await local.api.get('/health/live').expect(200);
});

test('a refused expectation is counted, and the connection serves its next request', async () => {
  const { statuses } = await exchange(
    local,
    `GET ${enums} HTTP/1.1\r\n${host}\r\nExpect: x\r\n\r\n${get(enums, host)}`,
  );
  expect(statuses).toEqual([417, 200]);
  const { text } = await local.api.get('/metrics').expect(200);
  expect(text).toContain('route="/api/enums",status="417"');
});

test("garbage after a request is refused after that request's answer", async () => {
  const body = JSON.stringify(sessionBody({ id: 'cs_test_pipelined' }));
  const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`];
  const { statuses } = await exchange(local, `${post(...headers)}${body}hello\r\n\r\n`);
  expect(statuses).toEqual([201, 400]);
  await local.api.get(`${sessionsPath}/cs_test_pipelined`).expect(200);
});

test.each([
  ['an unsupported upgrade', get(enums, host, 'Connection: Upgrade', 'Upgrade: websocket')],
  ['Expect: 100-continue', get(enums, host, 'Expect: 100-continue')],
  ['an absolute URL', get(`http://localhost${enums}`, host)],
])('a request with %s is served', async (_, text) => {
  expect((await exchange(local, text)).statuses.at(-1)).toBe(200);
});

test('without a Host, as in HTTP/1.0, links use the address of the connection', async () => {
  for (const body of [sessionBody(), sessionBody()]) await local.api.post(sessionsPath).send(body).expect(201);
  const authorization = `Authorization: Bearer ${key}`;
  const { body, statuses } = await exchange(keyed, `GET ${sessionsPath}?limit=1 HTTP/1.0\r\n${authorization}\r\n\r\n`);
  expect(statuses).toEqual([200]);
  const { next } = JSON.parse(body);
  expect(next).toMatch(new RegExp(`^${keyed.url}${sessionsPath}\\?limit=1&cursor=`));
  const response = await fetch(next, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status).toBe(200);
});

const { id, ...fields } = sessionBody();
const path = `${sessionsPath}/${id}`;

test.each([
  ['gzip', gzipSync(JSON.stringify(fields))],
  ['gzip', Buffer.from(JSON.stringify(fields))],
  ['br', Buffer.from(JSON.stringify(fields))],
  ['identity, gzip', gzipSync(JSON.stringify(fields))],
  ['x', Buffer.from('{}')],
])(
  'a body with Content-Encoding %s is 415, names the accepted encoding, and stores nothing',
  async (encoding, body) => {
    for (const [method, type] of [
      ['put', 'application/json'],
      ['patch', 'application/merge-patch+json'],
    ] as const) {
      const request = local.api[method](path).set({ 'content-type': type, 'content-encoding': encoding });
      request.serialize((bytes) => bytes as never);
      const response = await request.send(body as never);
      expect(expectProblem(response, 415, 'unsupported-media-type').detail).toContain(`Content-Encoding: ${encoding}`);
      expect(response.headers['accept-encoding']).toBe('identity');
    }
    expectProblem(await local.api.get(path), 404, 'session-not-found');
  },
);

test('Content-Encoding: identity is accepted, and an encoding without a body is ignored', async () => {
  const plain = { 'content-encoding': 'Identity' };
  await local.api.put(path).set(plain).send(fields).expect(201);
  await local.api.delete(path).set({ 'content-type': 'application/json', 'content-encoding': 'gzip' }).expect(204);
});
