import type { IncomingMessage } from 'node:http';
import pino from 'pino';
import { expect, test } from 'vitest';
import { requestIds } from '../src/plugins/request-id.js';
import { testDatabase } from './support/database.js';
import { sessionsPath, startService } from './support/service.js';

const database = await testDatabase();
const log: string[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(line) });
const keys = { API_KEYS: 'full-key-0000000001' };
const behind = await startService({ database, logger, environment: { ...keys, TRUST_PROXY: 'loopback' } });
const direct = await startService({ database, environment: keys });

const made = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('the id of a trusted proxy is in the response and in the log', async () => {
  log.length = 0;
  const { body, headers } = await behind.api.get(sessionsPath).set('x-request-id', 'edge-42/a=b').expect(401);
  expect(body.request_id).toBe('edge-42/a=b');
  expect(headers['x-request-id']).toBe('edge-42/a=b');
  await expect.poll(() => log.length).toBe(1);
  expect(JSON.parse(log[0] as string)).toMatchObject({ request_id: 'edge-42/a=b', status: 401 });
});

test('the id of any other client is ignored', async () => {
  const { body, headers } = await direct.api.get(sessionsPath).set('x-request-id', 'edge-42').expect(401);
  expect(body.request_id).toMatch(made);
  expect(headers['x-request-id']).toBe(body.request_id);
});

test.each(['', ' ', 'two words', 'x'.repeat(129), 'caf\u00e9', 'a\tb'])(
  'the id %j of a trusted proxy is ignored',
  async (id) => {
    const { body } = await behind.api.get(sessionsPath).set('x-request-id', id).expect(401);
    expect(body.request_id).toMatch(made);
  },
);

test('each request has its own id', async () => {
  const ids = await Promise.all([1, 2, 3].map(async () => (await direct.api.get(sessionsPath)).body.request_id));
  expect(new Set(ids).size).toBe(3);
});

const from = (remoteAddress: string) =>
  ({ headers: { 'x-request-id': 'given' }, socket: { remoteAddress } }) as unknown as IncomingMessage;

test.each([
  [['10.0.0.0/8'], '10.1.2.3', true],
  [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
  [['10.0.0.0/8'], '11.1.2.3', false],
  [['192.0.2.7'], '192.0.2.7', true],
  [['192.0.2.7'], '192.0.2.8', false],
  [['2001:db8::/32'], '2001:db8:1::1', true],
  [['2001:db8::1'], '2001:db8::2', false],
  [['10.0.0.0/255.0.0.0'], '10.1.2.3', true],
  [['::ffff:10.0.0.1'], '10.0.0.1', true],
  [['::/1'], '::ffff:10.0.0.1', false],
  [['loopback'], '::1', true],
  [['loopback'], '::ffff:127.0.0.1', true],
  [['uniquelocal'], '172.31.0.1', true],
  [['linklocal', '10.0.0.1'], '10.0.0.1', true],
  [[], '127.0.0.1', false],
])('with the proxies %j, trust in the peer %s is %s', (trusted, peer, isTrusted) => {
  expect(requestIds(trusted)(from(peer)) === 'given').toBe(isTrusted);
});
