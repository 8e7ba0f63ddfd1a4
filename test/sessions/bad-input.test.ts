import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectComponent, expectSession } from '../support/contract.js';
import { proofRuns } from '../support/runs.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { sessionSteps } from './support.js';

/** Number of random cases for each property. */
const runs = proofRuns(30);

const { api, url, database } = await startService();
const small = await startService({ database, environment: { BODY_LIMIT: '1000' } });
const { createSession, expectUnchanged } = sessionSteps(api);

interface Raw {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  body: { type: string; status: number; errors?: { in: string; pointer: string; detail: string }[] };
}

interface RawRequest {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  base?: string;
}

/** Sends a request byte for byte. Other clients normalise paths, bodies and headers. */
function send({ method = 'POST', path = sessionsPath, headers = {}, body, base = url }: RawRequest): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base);
    // For OPTIONS and DELETE, Node sets no Content-Length.
    const length =
      body === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = { hostname, port, method, path, headers: { ...length, ...headers } };
    const request = httpRequest(options, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      const { statusCode: status = 0 } = response;
      resolve({ status, headers: response.headers, text, body: text.startsWith('{') ? JSON.parse(text) : {} });
    });
    request.on('error', reject);
    request.end(body);
  });
}

const json = { 'content-type': 'application/json' };
const sendJson = (body: string | Buffer, more: RawRequest = {}) => send({ headers: json, body, ...more });

const internals = /node_modules|\.[jt]s:\d|\bat \S+ \(|prisma|sqlstate|pg_|select |insert into|checkout_session\b/i;

/** Expects a problem document that strict clients can read and that reveals no internals. */
function expectRefusal(response: Raw, status: number, code: string): Raw['body'] {
  expect(response.text).toMatch(/^\{/);
  expect(response.body).toMatchObject({ type: `urn:problem:${code}`, status });
  expect(response.status).toBe(status);
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expectComponent('Problem', response.body);
  expect(response.text).not.toMatch(internals);
  // An unpaired surrogate, escaped or not, breaks parsers of other languages.
  expect(JSON.stringify(response.body)).not.toMatch(/\\ud[89a-f]/i);
  return response.body;
}

const pointersOf = ({ errors }: Raw['body']) => errors?.map(({ pointer }) => pointer);

/**
 * Sends a body as POST of a new id, and as PUT and PATCH of an existing one. Expects each to be refused without effect.
 */
async function expectRefusedEverywhere(body: string | Buffer, code: string, pointers?: string[]) {
  const { path, etag } = await createSession();
  for (const target of [{ method: 'POST' }, { method: 'PUT', path }, { method: 'PATCH', path }]) {
    const problem = expectRefusal(await sendJson(body, target), 400, code);
    if (pointers) expect(pointersOf(problem), target.method).toEqual(expect.arrayContaining(pointers));
  }
  await expectUnchanged(path, etag);
}

test.each([
  '',
  ' ',
  '{',
  '{"id":}',
  "{'id':'cs_1'}",
  '{"id":"cs_1",}',
  '{"id":"cs_1"} {}',
  '{"metadata":{"a":NaN}}',
  '{"metadata":{"a":01}}',
  '{"id":"a\nb"}',
  'undefined',
  '<xml/>',
  '\u0000',
])('the malformed JSON body %j is refused', async (body) => {
  await expectRefusedEverywhere(body, 'malformed-request');
});

test.each(['null', '1', '"text"', 'true', '[]', '[{}]'])(
  'the body %s, which is not an object, is refused',
  async (body) => {
    await expectRefusedEverywhere(body, 'invalid-request', ['']);
  },
);

test('an empty body is refused', async () => {
  const { path, etag } = await createSession();
  for (const target of [{ method: 'POST' }, { method: 'PUT', path }, { method: 'PATCH', path }]) {
    expectRefusal(await send({ ...target, headers: { 'content-length': '0' } }), 400, 'invalid-request');
  }
  await expectUnchanged(path, etag);
});

test.each([
  ['invalid UTF-8', [0xff, 0xfe]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a surrogate encoded in UTF-8', [0xed, 0xa0, 0x80]],
  ['a truncated character', [0xe2, 0x82]],
])('a body with %s is refused, not repaired', async (_, bytes) => {
  const body = Buffer.concat([Buffer.from('{"metadata":{"a":"'), Buffer.from(bytes), Buffer.from('"}}')]);
  await expectRefusedEverywhere(body, 'malformed-request');
});

test.each([
  '{"__proto__":{"mode":"payment"}}',
  '{"metadata":{"__proto__":{"polluted":true}}}',
  '{"metadata":{"a":[{"__proto__":null}]}}',
  '{"metadata":{"\\u005f_proto__":{"polluted":true}}}',
  '{"metadata":{"constructor":{"prototype":{"polluted":true}}}}',
])('prototype pollution by %s is refused', async (body) => {
  await expectRefusedEverywhere(body, 'malformed-request');
  expect({}).not.toHaveProperty('polluted');
});

test('metadata may use names of Object.prototype such as constructor', async () => {
  const metadata = { constructor: 'c', toString: 't', hasOwnProperty: 'h', valueOf: null, length: 3 };
  const { body } = await api.post(sessionsPath).send(sessionBody({ metadata })).expect(201);
  expect(body.metadata).toEqual(metadata);
});

test.each([
  ['id', 1],
  ['id', ['cs_1']],
  ['billing_address_collection', true],
  ['mode', 1],
  ['submit_type', { auto: true }],
  ['livemode', 'true'],
  ['livemode', 1],
  ['created', 1_700_000_000],
  ['metadata', []],
  ['metadata', 'a=b'],
  ['description', 1],
  ['cancel_url', 7],
  ['client_reference_id', 42],
  ['customer_email', ['a@b.c']],
  ['display_items', 'item'],
  ['display_items', 0],
  ['locale', false],
  ['payment_method_types', 'card'],
  ['payment_method_types', false],
  ['success_url', {}],
  ['djstripe_owner_account', 1],
  ['customer', { id: 'cus_1' }],
  ['payment_intent', []],
  ['subscription', 0],
])('a wrong type is refused, not coerced: %s = %j', async (name, value) => {
  await expectRefusedEverywhere(JSON.stringify({ [name]: value }), 'invalid-request', [`/${name}`]);
});

test.each([
  ['cancel_url', 5000],
  ['success_url', 5000],
  ['client_reference_id', 5000],
  ['customer_email', 255],
  ['locale', 255],
])('%s holds %i characters and not one more', async (name, length) => {
  const longest = '😀'.repeat(length);
  const { body } = await api
    .post(sessionsPath)
    .send(sessionBody({ [name]: longest }))
    .expect(201);
  expect(body[name]).toBe(longest);
  await expectRefusedEverywhere(JSON.stringify({ [name]: `${longest}x` }), 'invalid-request', [`/${name}`]);
});

test('an empty object is refused and every missing property named', async () => {
  const problem = expectRefusal(await sendJson('{}'), 400, 'invalid-request');
  const required = ['/billing_address_collection', '/id', '/mode', '/payment_method_types', '/submit_type'];
  expect(pointersOf(problem)?.sort()).toEqual(required);
});

test('all faults are reported at once, each with its place', async () => {
  const wrong = {
    id: 7,
    mode: 'gift',
    created: 'yesterday',
    livemode: 'no',
    colour: 'red',
    payment_method_types: 'card',
  };
  const problem = expectRefusal(await sendJson(JSON.stringify(wrong)), 400, 'invalid-request');
  expect(pointersOf(problem)?.sort()).toEqual([
    ...['/billing_address_collection', '/colour', '/created', '/id', '/livemode', '/mode', '/payment_method_types'],
    '/submit_type',
  ]);
  for (const fault of problem.errors ?? []) {
    expect(fault.in).toBe('body');
    expect(fault.detail).toMatch(/^(must|is) /);
  }
});

const nul = String.raw`\u0000`;
const lone = String.raw`\ud800`;

test.each([
  ['U+0000 in a string', `{"customer":"a${nul}b"}`, '/customer'],
  ['U+0000 in an id', `{"id":"cs_${nul}"}`, '/id'],
  ['U+0000 in an enum', `{"mode":"${nul}"}`, '/mode'],
  ['U+0000 deep in metadata', `{"metadata":{"a":[{"b/c":"${nul}"}]}}`, '/metadata/a/0/b~1c'],
  ['U+0000 in a key', `{"metadata":{"a":{"k${nul}":1}}}`, '/metadata/a'],
  ['U+0000 in an element', `{"payment_method_types":["card","${nul}"]}`, '/payment_method_types/1'],
  ['a high surrogate alone', `{"customer":"${lone}"}`, '/customer'],
  ['a low surrogate alone', String.raw`{"customer":"a\udc00b"}`, '/customer'],
  ['surrogates in the wrong order', String.raw`{"customer":"\ude00\ud83d"}`, '/customer'],
  ['a lone surrogate in a key', `{"metadata":{"${lone}":1}}`, '/metadata'],
  ['a lone surrogate in an item', `{"display_items":[{"name":"${lone}"}]}`, '/display_items/0/name'],
  ['1e400', '{"metadata":{"a":1e400}}', '/metadata/a'],
  ['-1e400', '{"display_items":[[-1e400]]}', '/display_items/0/0'],
])('%s is refused, and the fault names its place', async (_, body, pointer) => {
  await expectRefusedEverywhere(body, 'invalid-request', [pointer]);
});

test.each([
  ['U+0000', nul],
  ['a lone surrogate', lone],
])('an unknown property with %s in its name is refused with a readable message', async (_, half) => {
  await expectRefusedEverywhere(`{"colour${half}":1}`, 'invalid-request');
});

test('the largest and smallest double are stored exactly', async () => {
  const metadata = { large: 1.7976931348623157e308, small: 5e-324, safe: Number.MAX_SAFE_INTEGER, tenth: 0.1 };
  const { body } = await api.post(sessionsPath).send(sessionBody({ metadata })).expect(201);
  expect(body.metadata).toEqual(metadata);
});

function nested(levels: number, [open, close]: [string, string]): string {
  return `${open.repeat(levels)}1${close.repeat(levels)}`;
}

test.each([
  ['objects', ['{"a":', '}']],
  ['arrays', ['[', ']']],
] as [string, [string, string]][])(
  '%s nested 100 levels or more are refused, 40 levels are stored',
  async (_, pair) => {
    for (const levels of [100, 5000, 100_000]) {
      await expectRefusedEverywhere(`{"metadata":{"deep":${nested(levels, pair)}}}`, 'invalid-request');
    }
    const deep = nested(40, pair);
    const sent = sessionBody();
    const text = `${JSON.stringify(sent).slice(0, -1)},"metadata":{"deep":${deep}}}`;
    expect((await sendJson(text)).status).toBe(201);
    const { body } = await api.get(`${sessionsPath}/${sent.id}`).expect(200);
    expect(JSON.stringify(body.metadata.deep)).toBe(deep);
  },
);

test('a body of BODY_LIMIT bytes is accepted and one byte more is 413, declared or chunked', async () => {
  const sized = (length: number) => {
    const sent = sessionBody({ description: '' });
    const padding = 'x'.repeat(length - JSON.stringify(sent).length);
    return JSON.stringify({ ...sent, description: padding });
  };
  expect((await sendJson(sized(1000), { base: small.url })).status).toBe(201);
  expectRefusal(await sendJson(sized(1001), { base: small.url }), 413, 'payload-too-large');
  const headers = { ...json, 'transfer-encoding': 'chunked' };
  expectRefusal(await send({ base: small.url, headers, body: sized(1001) }), 413, 'payload-too-large');
});

test('PUT and PATCH over BODY_LIMIT change nothing', async () => {
  const { path, etag } = await createSession();
  const body = JSON.stringify({ description: 'x'.repeat(1000) });
  for (const method of ['PUT', 'PATCH']) {
    expectRefusal(await sendJson(body, { base: small.url, method, path }), 413, 'payload-too-large');
  }
  const merging = {
    base: small.url,
    method: 'PATCH',
    path,
    headers: { 'content-type': 'application/merge-patch+json' },
  };
  expectRefusal(await send({ ...merging, body }), 413, 'payload-too-large');
  await expectUnchanged(path, etag);
});

test.each([
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/xml',
  'application/jsonp',
  'application/problem+json',
  'text/json',
  'json',
  ';',
])('the content type %s is 415', async (type) => {
  const { sent, path, etag } = await createSession();
  const body = JSON.stringify(sessionBody({ id: sent.id }));
  for (const target of [{ method: 'POST' }, { method: 'PUT', path }, { method: 'PATCH', path }]) {
    const response = await send({ ...target, headers: { 'content-type': type }, body });
    expectRefusal(response, 415, 'unsupported-media-type');
  }
  await expectUnchanged(path, etag);
});

test('a body without a content type is 415', async () => {
  const { path, etag } = await createSession();
  for (const target of [{ method: 'POST' }, { method: 'PUT', path }, { method: 'PATCH', path }]) {
    expectRefusal(await send({ ...target, body: '{"customer":"cus_1"}' }), 415, 'unsupported-media-type');
  }
  await expectUnchanged(path, etag);
});

test.each([
  ...['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LOCK', 'QUERY'].map((method) => [
    method,
    sessionsPath,
    'GET, HEAD, POST',
  ]),
  ...['POST', 'OPTIONS', 'TRACE', 'MKCOL'].map((method) => [
    method,
    `${sessionsPath}/cs_1`,
    'DELETE, GET, HEAD, PATCH, PUT',
  ]),
  ['TRACE', `${sessionsPath}/cs_1/`, 'DELETE, GET, HEAD, PATCH, PUT'],
] as [string, string, string][])('%s %s is 405 with Allow', async (method, path, allow) => {
  const response = await send({ method, path, headers: { 'x-secret': 'echo-me' } });
  expect(response.headers.allow?.split(/, */).sort().join(', ')).toBe(allow);
  expect(response.text).not.toContain('echo-me');
  expectRefusal(response, 405, 'method-not-allowed');
});

test.each(['POST', 'OPTIONS'])('%s with an unsupported body is 405', async (method) => {
  const response = await send({ method, path: `${sessionsPath}/cs_1`, headers: { 'content-type': 'x/y' }, body: '<' });
  expectRefusal(response, 405, 'method-not-allowed');
});

test.each([
  ['GET', '/'],
  ['GET', '/api'],
  ['GET', '/api/checkout-session'],
  ['GET', '/API/checkout-sessions'],
  ['GET', '/api/checkout-sessions/cs_1/more'],
  ['GET', '/api/../api/checkout-sessions'],
  ['DELETE', '/nothing'],
  ['POST', '/api/nothing'],
])('%s %s is 404', async (method, path) => {
  const body = expectRefusal(await send({ method, path }), 404, 'not-found');
  expect(body).toMatchObject({ instance: path });
});

test.each(['%', '%zz', '%ff', '%c0%af', '%ed%a0%80', 'cs_%e2%82', 'ok%2', '%u0041'])(
  'the undecodable path …/%s is 400',
  async (id) => {
    for (const method of ['GET', 'DELETE']) {
      expectRefusal(await send({ method, path: `${sessionsPath}/${id}` }), 400, 'malformed-request');
    }
  },
);

test.each([
  ['a dot', '.'],
  ['a dot, encoded', '%2e'],
  ['two dots', '..'],
  ['two dots, encoded', '%2E%2e'],
  ['U+0000', 'cs_%00'],
  ['a line break', 'cs_%0d%0aSet-Cookie:%20a=b'],
  ['DEL', '%7f'],
  ['a C1 control character', 'cs_%c2%85'],
  ['256 characters', 'x'.repeat(256)],
  ['256 characters of four bytes', encodeURIComponent('😀'.repeat(256))],
])('an id of %s in the path is 400', async (_, id) => {
  const path = `${sessionsPath}/${id}`;
  const body = JSON.stringify(sessionBody({ id: undefined }));
  for (const request of [
    { method: 'GET', path },
    { method: 'DELETE', path },
    { method: 'PUT', path, headers: json, body },
    { method: 'PATCH', path, headers: json, body: '{}' },
  ]) {
    const response = await send(request);
    expect(response.headers).not.toHaveProperty('set-cookie');
    const problem = expectRefusal(response, 400, 'invalid-request');
    expect(problem.errors).toMatchObject([{ in: 'path', pointer: '/id' }]);
  }
});

test("an id longer than the router's limit is 400", async () => {
  const response = await send({ method: 'GET', path: `${sessionsPath}/${'x'.repeat(5000)}` });
  expectRefusal(response, 400, 'malformed-request');
});

test.each(['', '.', '..', 'cs_\u0007', 'cs_\u007f', 'cs_\u0085', 'a\nb', 'x'.repeat(256), '😀'.repeat(256)])(
  'the id %j in a body is 400',
  async (id) => {
    const problem = expectRefusal(await sendJson(JSON.stringify(sessionBody({ id }))), 400, 'invalid-request');
    expect(new Set(pointersOf(problem))).toEqual(new Set(['/id']));
  },
);

test('when several statuses apply, the earlier check decides', async () => {
  const { path } = await createSession();
  const big = JSON.stringify({ description: 'x'.repeat(1000) });
  const plain = { 'content-type': 'text/plain' };
  const wrong = JSON.stringify({ colour: 'red' });
  const missing = `${sessionsPath}/cs_test_missing`;
  const stale = { ...json, 'if-match': '"stale"' };
  const cases: [number, RawRequest][] = [
    [404, { path: '/nothing', headers: plain, body: big }],
    [405, { method: 'POST', path, headers: plain, body: big }],
    [403, { headers: { ...plain, origin: 'https://evil.example' }, body: big }],
    [413, { headers: json, body: `{${big}` }],
    [415, { method: 'PATCH', path: missing, headers: plain, body: wrong }],
    [400, { method: 'PATCH', path: missing, headers: json, body: wrong }],
    [400, { method: 'PATCH', path, headers: stale, body: wrong }],
  ];
  for (const [status, request] of cases) {
    expect((await send({ base: small.url, ...request })).status, JSON.stringify(request)).toBe(status);
  }
});

const base = () => {
  const { id, ...rest } = sessionBody();
  return rest;
};

const anyJson = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' });

const fields = fc.record(
  {
    billing_address_collection: fc.oneof(fc.constantFrom('auto', 'required'), anyJson),
    mode: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('payment', 'setup', 'subscription') },
      { weight: 1, arbitrary: anyJson },
    ),
    id: fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), anyJson),
    livemode: fc.oneof(fc.boolean(), anyJson),
    created: fc.oneof(
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      anyJson,
    ),
    metadata: fc.oneof(fc.dictionary(fc.string({ unit: 'binary' }), anyJson), anyJson),
    description: fc.oneof(fc.string({ unit: 'binary' }), anyJson),
    cancel_url: fc.oneof(fc.webUrl(), anyJson),
    customer_email: fc.oneof(fc.emailAddress(), anyJson),
    display_items: fc.oneof(fc.array(anyJson), anyJson),
    payment_method_types: fc.oneof(fc.array(fc.string()), anyJson),
    customer: fc.oneof(fc.string({ unit: 'binary' }), anyJson),
    djstripe_id: anyJson,
    djstripe_created: anyJson,
  },
  { requiredKeys: [] },
);

/** Returns the fields that an accepted request must read back as. */
function expectedOf(sent: Record<string, unknown>): Record<string, unknown> {
  const plain = ['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'];
  const keyed = (value: unknown) => (Array.isArray(value) ? Object.fromEntries(value.entries()) : value);
  const { djstripe_id, djstripe_created, djstripe_updated, created, ...rest } = sent;
  return {
    ...Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [name, plain.includes(name) ? (value ?? '') : value]),
    ),
    ...('display_items' in rest && { display_items: keyed(rest.display_items) }),
    payment_method_types: keyed(rest.payment_method_types),
  };
}

test('any JSON body is stored faithfully or refused with 400 or 409, and changes no other session', async () => {
  const witness = await createSession();
  let accepted = 0;
  const attempt = async (value: unknown) => {
    const text = JSON.stringify(value);
    const response = await sendJson(text);
    if (response.status === 201) {
      accepted += 1;
      const sent = JSON.parse(text);
      const read = await api.get(`${sessionsPath}/${encodeURIComponent(sent.id)}`).expect(200);
      expect(read.text).toBe(response.text);
      expectSession(read.body);
      const expected = expectedOf(sent);
      expect(Object.fromEntries(Object.keys(expected).map((name) => [name, read.body[name]]))).toEqual(expected);
      if (sent.created) expect(Date.parse(read.body.created)).toBe(Date.parse(sent.created));
    } else {
      expectRefusal(response, response.status, response.body.type.replace('urn:problem:', ''));
      expect([400, 409]).toContain(response.status);
    }
    await expectUnchanged(witness.path, witness.etag);
  };
  await fc.assert(fc.asyncProperty(anyJson, attempt), { numRuns: runs });
  await fc.assert(
    fc.asyncProperty(fields, (some) => attempt({ ...base(), id: witness.sent.id, ...some })),
    { numRuns: runs },
  );
  const one = (name: string) => fields.map((some) => ({ [name]: (some as Record<string, unknown>)[name] }));
  const single = fc.constantFrom('metadata', 'display_items', 'payment_method_types', 'customer', 'created').chain(one);
  await fc.assert(
    fc.asyncProperty(single, (some) => attempt(sessionBody(some))),
    { numRuns: runs },
  );
  expect(accepted).toBeGreaterThan(runs / 4);
});

test('any JSON patch is applied or refused with 400, and a refused one changes nothing', async () => {
  const { path } = await createSession();
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyJson, fields), async (value) => {
      const before = (await api.get(path).expect(200)).text;
      const response = await sendJson(JSON.stringify(value), { method: 'PATCH', path });
      const after = await api.get(path).expect(200);
      expectSession(after.body);
      expect(after.text).toBe(response.status === 200 ? response.text : before);
      if (response.status !== 200) expect(response.status).toBe(400);
    }),
    { numRuns: runs },
  );
});

test('any id in a path is answered with 400 or 404', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 260 }), async (id) => {
      fc.pre(id !== '');
      const response = await send({ method: 'GET', path: `${sessionsPath}/${encodeURIComponent(id)}` });
      expectRefusal(response, response.status, response.status === 404 ? 'session-not-found' : 'invalid-request');
      expect([400, 404]).toContain(response.status);
    }),
    { numRuns: runs },
  );
});

test('random bytes as a body are answered with 400', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
      expect((await sendJson(Buffer.from(bytes))).status).toBe(400);
    }),
    { numRuns: runs },
  );
});
