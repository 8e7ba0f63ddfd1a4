import { request } from 'node:http';
import { connect } from 'node:net';
import Stripe from 'stripe';
import { describe, expect, test } from 'vitest';
import { rawSession } from '../support/stripe.js';
import { readKey, startMirror, thrownBy } from './support.js';

const mirror = await startMirror();
await mirror.put(rawSession({ id: 'cs_test_error' }));
const { sessions } = mirror.sdk().checkout;
const path = '/v1/checkout/sessions';
const authorization = 'Bearer full-key-of-the-stripe-reads';

describe('the SDK throws for', () => {
  const { StripeAuthenticationError, StripeInvalidRequestError, StripePermissionError } = Stripe.errors;
  test.each([
    ['an unknown id', () => sessions.retrieve('cs_test_none'), 404, 'resource_missing', 'session'],
    ['a limit of 0', () => sessions.list({ limit: 0 }), 400, 'parameter_invalid_integer', 'limit'],
    ['a limit over 100', () => sessions.list({ limit: 101 }), 400, 'parameter_invalid_integer', 'limit'],
    [
      'a limit of ten',
      () => sessions.list({ limit: 'ten' as unknown as number }),
      400,
      'parameter_invalid_integer',
      'limit',
    ],
    [
      'an unknown parameter',
      () => sessions.list({ custommer: 'cus_1' } as object),
      400,
      'parameter_unknown',
      'custommer',
    ],
    [
      'an unknown comparison of created',
      () => sessions.list({ created: { after: 1 } } as object),
      400,
      'parameter_unknown',
      'created[after]',
    ],
    [
      'a created that is no integer',
      () => sessions.list({ created: { gte: 1.5 } }),
      400,
      'parameter_invalid_integer',
      'created[gte]',
    ],
    ['an unknown expand', () => sessions.retrieve('cs_test_error', { expand: ['customer'] }), 400, undefined, 'expand'],
    ['an expand of a list', () => sessions.list({ expand: ['data.customer'] }), 400, undefined, 'expand'],
    [
      'an unknown cursor',
      () => sessions.list({ starting_after: 'cs_test_none' }),
      400,
      'resource_missing',
      'starting_after',
    ],
    ['an unknown status', () => sessions.list({ status: 'paid' as 'open' }), 400, undefined, 'status'],
    [
      'two directions',
      () => sessions.list({ starting_after: 'a', ending_before: 'b' }),
      400,
      undefined,
      'starting_after',
    ],
    [
      'a list parameter on a session',
      () => sessions.retrieve('cs_test_error', { limit: 1 } as object),
      400,
      'parameter_unknown',
      'limit',
    ],
    ['an id with odd characters', () => sessions.retrieve('cs_test_\u0000'), 400, undefined, undefined],
    ['line items that are not stored', () => sessions.listLineItems('cs_test_error'), 400, undefined, 'expand'],
  ])('%s', async (_name, call, status, code, param) => {
    const error = await thrownBy(call());
    expect(error).toBeInstanceOf(StripeInvalidRequestError);
    expect(error).toMatchObject({ statusCode: status, code, param });
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a missing and a wrong key', async () => {
    const error = await thrownBy(mirror.sdk('sk_test_wrong').checkout.sessions.list());
    expect(error).toBeInstanceOf(StripeAuthenticationError);
    const response = await mirror.api.get(path);
    expect([response.status, response.body.error.type]).toEqual([401, 'invalid_request_error']);
    expect(response.body.error.message).toMatch(/Bearer <key>.*Basic/);
  });

  test('an empty id, and the message names each fault', async () => {
    const { body } = await mirror.api.get(`${path}//`).set('authorization', authorization).expect(400);
    expect(body.error.message).toMatch(/^id: .*; id: /);
  });

  test('a read key', async () => {
    const error = await thrownBy(mirror.sdk(readKey).checkout.sessions.retrieve('cs_test_error'));
    expect(error).toBeInstanceOf(StripePermissionError);
  });

  test('every write and every other resource', async () => {
    const { StripeError } = Stripe.errors;
    for (const call of [
      sessions.create({ mode: 'payment' }),
      sessions.update('cs_test_error', { metadata: {} }),
      sessions.expire('cs_test_error'),
      mirror.sdk().customers.list(),
    ]) {
      const error = await thrownBy(call);
      expect(error).toBeInstanceOf(StripeError);
      expect(error.message).toContain('read mirror');
    }
  });
});

test('an unsupported method with an absolute URL is 405', async () => {
  const status = await new Promise((resolve, reject) => {
    const options = { method: 'DELETE', path: `${mirror.url}${path}/cs_test_error`, headers: { authorization } };
    request(mirror.url, options, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
  expect(status).toBe(405);
});

test.each([
  ['post', path, 405],
  ['delete', `${path}/cs_test_error`, 405],
  ['put', `${path}/cs_test_error/line_items`, 405],
  ['get', '/v1/charges', 404],
  ['get', '/v1', 404],
  ['get', '/v2/core/events', 404],
  ['post', '/v2/billing/meters', 404],
  ['get', `${path}/%ff`, 400],
] as const)("%s %s is answered with Stripe's error shape", async (method, url, status) => {
  const response = await mirror.api[method](url)
    .set({ authorization, 'content-type': 'application/x-www-form-urlencoded' })
    .send(method === 'get' ? undefined : 'a=b');
  expect(response.status).toBe(status);
  expect(response.body).toEqual({
    error: expect.objectContaining({ type: 'invalid_request_error', message: expect.any(String) }),
  });
  expect(response.headers['content-type']).toMatch(/^application\/json/);
});

test.each([
  ['email=a', 'did you mean customer_details[email]?'],
  ['custommer=a', 'did you mean customer?'],
  ['page=2', undefined],
])('the unknown parameter in %s gets a suggestion if one is near', async (query, meant) => {
  const { body } = await mirror.api.get(`${path}?${query}`).set({ authorization }).expect(400);
  if (meant) expect(body.error.message).toContain(meant);
  else expect(body.error.message).not.toContain('did you mean');
});

test('a Basic password and headers for another account are refused', async () => {
  for (const headers of [
    { authorization: `Basic ${Buffer.from('full-key-of-the-stripe-reads:another').toString('base64')}` },
    { authorization, 'stripe-context': 'acct_1Other' },
    { authorization, 'stripe-account': 'not an account' },
  ]) {
    const response = await mirror.api.get(path).set(headers);
    expect([response.status, response.body.error?.type]).toEqual([400, 'invalid_request_error']);
  }
});

test('a key is accepted as Basic user name, as curl sends it', async () => {
  const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
  await mirror.api.get(path).set('authorization', basic('full-key-of-the-stripe-reads')).expect(200);
  await mirror.api.get(path).set('authorization', basic('wrong')).expect(401);
});

test('the SDK throws StripeRateLimitError over the rate limit', async () => {
  const limited = await startMirror({ environment: { RATE_LIMIT_PER_MINUTE: '1' }, database: mirror.database });
  const stripe = limited.sdk();
  await stripe.checkout.sessions.list();
  const error = await thrownBy(stripe.checkout.sessions.list());
  expect(error).toBeInstanceOf(Stripe.errors.StripeRateLimitError);
  expect(error.code).toBe('rate_limit');
});

test('without keys only loopback requests are served', async () => {
  const open = await startMirror({ environment: { API_KEYS: '', API_READ_KEYS: '' }, database: mirror.database });
  expect(await open.sdk('sk_test_any').checkout.sessions.retrieve('cs_test_error')).toMatchObject({ livemode: false });
  const response = await open.api.get(path).set('host', 'evil.example');
  expect([response.status, response.body.error.type]).toEqual([421, 'invalid_request_error']);
});

test('an unreachable database is a 503 StripeAPIError without internal text', async () => {
  const broken = await startMirror({
    database: {
      ...mirror.database,
      query: () => Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })),
    },
  });
  const error = await thrownBy(broken.sdk().checkout.sessions.retrieve('cs_test_error'));
  expect(error).toBeInstanceOf(Stripe.errors.StripeAPIError);
  expect(error).toMatchObject({ statusCode: 503 });
  expect(error.message).not.toContain('ECONNREFUSED');
});

test('the SDK does not retry a query that timed out', async () => {
  let queries = 0;
  const slow = await startMirror({
    database: {
      ...mirror.database,
      query: () => {
        queries += 1;
        return Promise.reject(Object.assign(new Error('canceling statement'), { code: '57014' }));
      },
    },
  });
  const error = await thrownBy(
    slow.sdk(undefined, { maxNetworkRetries: 3 }).checkout.sessions.list({ status: 'open' }),
  );
  expect([error.statusCode, queries]).toEqual([503, 1]);
});

test('an unsupported method is 405, whatever it is', async () => {
  for (const method of ['QUERY', 'PROPFIND', 'OPTIONS']) {
    const response = await mirror.app.inject({ method: method as 'GET', url: path });
    expect([method, response.statusCode, response.json().error?.type]).toEqual([method, 405, 'invalid_request_error']);
    expect(response.headers.allow).toBe('GET, HEAD');
  }
});

test("a missing or second Host and a second Authorization are 400 in Stripe's shape", async () => {
  const { port } = new URL(mirror.url);
  const target = `GET ${path} HTTP/1.1\r\nConnection: close\r\nAuthorization: ${authorization}\r\n`;
  const host = `Host: 127.0.0.1:${port}\r\n`;
  for (const headers of ['', `${host}Host: evil.example\r\n`, `${host}authorization: Bearer another-key\r\n`]) {
    const socket = connect({ port: Number(port), host: '127.0.0.1' });
    socket.end(`${target}${headers}\r\n`);
    const answer = (await socket.setEncoding('utf8').toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
      error: { type: 'invalid_request_error', message: expect.any(String) },
    });
  }
});

test('an internal error is 500 and reveals nothing', async () => {
  const broken = await startMirror({
    database: { ...mirror.database, query: () => Promise.reject(new Error('an index out of range')) },
  });
  const error = await thrownBy(broken.sdk().checkout.sessions.list());
  expect(error).toBeInstanceOf(Stripe.errors.StripeAPIError);
  expect(error.statusCode).toBe(500);
  expect(error.message).not.toContain('index');
});
