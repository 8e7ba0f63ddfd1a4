import { expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { pathOf } from './support.js';

const { api, url, database } = await startService();

const pointersOf = (body: { errors: { pointer: string }[] }) => body.errors.map(({ pointer }) => pointer);

const everyProperty = {
  billing_address_collection: 'required',
  mode: 'subscription',
  submit_type: 'donate',
  livemode: true,
  created: '2026-01-31T12:00:00+00:00',
  metadata: { order: '6735', nested: { list: [1, null, 'two'] } },
  description: 'A session with everything',
  cancel_url: 'https://example.com/cancel?a=1&b=%20',
  client_reference_id: 'cart-6735',
  customer_email: 'buyer@example.com',
  display_items: { '0': { amount: 1500, currency: 'usd' }, '1': { amount: 0 } },
  locale: 'en-GB',
  payment_method_types: { '0': 'card', '1': 'klarna' },
  success_url: 'https://example.com/success',
  djstripe_owner_account: 'acct_1',
  customer: 'cus_1',
  payment_intent: 'pi_1',
  subscription: 'sub_1',
};

test('POST stores every property and answers with the session as it will be read', async () => {
  const sent = sessionBody(everyProperty);
  const created = await api.post(sessionsPath).send(sent).expect(201);
  expect(created.headers['content-type']).toMatch(/^application\/json/);
  expect(created.headers.location).toBe(`${url}${pathOf(sent.id)}`);
  expect(created.headers.etag).toMatch(/^"[^"]+"$/);
  expectSession(created.body);
  expect(created.body).toMatchObject(sent);

  const read = await api.get(pathOf(sent.id)).expect(200);
  expect(read.text).toBe(created.text);
  expect(read.headers.etag).toBe(created.headers.etag);
});

test('a minimal POST creates a session that strict clients accept', async () => {
  const sent = sessionBody({ payment_method_types: {} });
  const { body } = await api.post(sessionsPath).send(sent).expect(201);
  expectSession(body);
  const { djstripe_id, djstripe_created, djstripe_updated, ...rest } = body;
  expect(rest).toEqual({
    ...sent,
    ...{ livemode: null, created: null, metadata: null, description: null, display_items: null },
    ...{ cancel_url: '', client_reference_id: '', customer_email: '', locale: '', success_url: '' },
    ...{ djstripe_owner_account: null, customer: null, payment_intent: null, subscription: null },
  });
  expect(djstripe_created).toBe(djstripe_updated);
  expect(Math.abs(Date.parse(djstripe_created) - Date.now())).toBeLessThan(60_000);
});

test('read-only properties are accepted and ignored, whatever their value', async () => {
  const sent = sessionBody({ djstripe_id: -7, djstripe_created: '1999-01-01T00:00:00Z', djstripe_updated: null });
  const { body } = await api.post(sessionsPath).send(sent).expect(201);
  expect(body.djstripe_id).toBeGreaterThan(0);
  expect(body.djstripe_created).not.toMatch(/^1999/);
  expectSession(body);
});

test('a session that was read can be created again under another id', async () => {
  const { body: first } = await api.post(sessionsPath).send(sessionBody(everyProperty)).expect(201);
  const { id } = sessionBody();
  const { body: second } = await api
    .post(sessionsPath)
    .send({ ...first, id })
    .expect(201);
  const { djstripe_id, djstripe_created, djstripe_updated, ...published } = first;
  expect(second).toMatchObject({ ...published, id });
  expect(second.djstripe_id).not.toBe(djstripe_id);
});

test.each(['colour', 'stripe_data', 'version', 'document', 'toString', 'a/b~c'])(
  'the unknown property %s is refused by name',
  async (name) => {
    const sent = sessionBody({ [name]: null });
    const problem = expectProblem(await api.post(sessionsPath).send(sent), 400, 'invalid-request');
    expect(problem.errors).toEqual([
      {
        in: 'body',
        pointer: `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
        detail: 'is not a property of a session',
      },
    ]);
    await api.get(pathOf(sent.id)).expect(404);
  },
);

test.each([
  ['payment_method_types', ['card'], { '0': 'card' }],
  ['payment_method_types', [], {}],
  ['payment_method_types', ['card', 'link', 'card'], { '0': 'card', '1': 'link', '2': 'card' }],
  ['payment_method_types', { first: 'card' }, { first: 'card' }],
  ['display_items', [{ amount: 1 }, null, ['x']], { '0': { amount: 1 }, '1': null, '2': ['x'] }],
  ['display_items', [], {}],
  ['display_items', null, null],
])('%s of %j is stored as %j', async (name, value, stored) => {
  const { body } = await api
    .post(sessionsPath)
    .send(sessionBody({ [name]: value }))
    .expect(201);
  expectSession(body);
  expect(body[name]).toEqual(stored);
});

test('an array of eleven keeps its order, although "10" sorts before "2" as text', async () => {
  const types = Array.from({ length: 11 }, (_, index) => `type_${index}`);
  const { body } = await api
    .post(sessionsPath)
    .send(sessionBody({ payment_method_types: types }))
    .expect(201);
  expect(Object.values(body.payment_method_types)).toEqual(types);
});

test.each(['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'])(
  'null for the plain string %s is stored as ""',
  async (name) => {
    const { body } = await api
      .post(sessionsPath)
      .send(sessionBody({ [name]: null }))
      .expect(201);
    expect(body[name]).toBe('');
  },
);

test.each(['billing_address_collection', 'mode', 'submit_type', 'id', 'payment_method_types'])(
  'the required property %s may be neither null nor absent',
  async (name) => {
    const sent = sessionBody();
    const asNull = expectProblem(await api.post(sessionsPath).send({ ...sent, [name]: null }), 400, 'invalid-request');
    const leftOut = expectProblem(
      await api.post(sessionsPath).send({ ...sent, [name]: undefined }),
      400,
      'invalid-request',
    );
    expect(new Set(pointersOf(asNull))).toEqual(new Set([`/${name}`]));
    expect(leftOut.errors).toEqual([{ in: 'body', pointer: `/${name}`, detail: 'is required' }]);
    await api.get(pathOf(sent.id)).expect(404);
  },
);

test.each([
  ['mode', ['payment', 'setup', 'subscription']],
  ['submit_type', ['auto', 'book', 'donate', 'pay']],
  ['billing_address_collection', ['auto', 'required']],
])('a wrong value of %s is refused, and the message lists the allowed ones', async (name, values) => {
  for (const wrong of ['', 'AUTO', 'subscribe']) {
    const response = await api.post(sessionsPath).send(sessionBody({ [name]: wrong }));
    const problem = expectProblem(response, 400, 'invalid-request');
    expect(pointersOf(problem)).toEqual([`/${name}`]);
    for (const value of values) expect(problem.errors[0].detail).toContain(value);
  }
});

test('POST of an existing id is 409 and changes nothing', async () => {
  const sent = sessionBody({ customer: 'cus_first' });
  const { headers } = await api.post(sessionsPath).send(sent).expect(201);
  const again = await api.post(sessionsPath).send({ ...sent, customer: 'cus_second' });
  expect(expectProblem(again, 409, 'session-exists').detail).toContain(sent.id);
  const read = await api.get(pathOf(sent.id)).expect(200);
  expect(read.headers.etag).toBe(headers.etag);
  expect(read.body.customer).toBe('cus_first');
});

test('djstripe_id increases by one, and a refused request uses none', async () => {
  const sent = sessionBody();
  const { body: first } = await api.post(sessionsPath).send(sent).expect(201);
  await api.post(sessionsPath).send(sent).expect(409);
  await api
    .post(sessionsPath)
    .send(sessionBody({ mode: 'gift' }))
    .expect(400);
  const { body: second } = await api.post(sessionsPath).send(sessionBody()).expect(201);
  expect(second.djstripe_id).toBe(first.djstripe_id + 1);
});

test.each([
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00+00:00'],
  ['2026-01-31t12:00:00z', '2026-01-31T12:00:00+00:00'],
  ['2026-01-31T14:30:00.123456+02:30', '2026-01-31T12:00:00.123456+00:00'],
  ['2026-01-31T23:59:59.5-12:00', '2026-02-01T11:59:59.5+00:00'],
  ['2026-01-31T12:00:00.000001-00:00', '2026-01-31T12:00:00.000001+00:00'],
  ['2026-01-31T12:00:00.1234567Z', '2026-01-31T12:00:00.123456+00:00'],
  ['2024-03-01T00:30:00+01:00', '2024-02-29T23:30:00+00:00'],
  ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00+00:00'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00+00:00'],
  ['0000-12-31T23:00:00-02:00', '0001-01-01T01:00:00+00:00'],
  ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999999+00:00'],
])('created %s is stored as %s', async (created, stored) => {
  const { body } = await api.post(sessionsPath).send(sessionBody({ created })).expect(201);
  expect(body.created).toBe(stored);
  expectSession(body);
});

test.each([
  '0000-06-01T00:00:00Z',
  '0001-01-01T00:30:00+01:00',
  '9999-12-31T23:30:00-01:00',
  '10000-01-01T00:00:00Z',
  '+002026-01-31T12:00:00Z',
  '2023-02-29T12:00:00Z',
  '2026-13-01T12:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T12:00:61Z',
  '2026-01-31T12:00:00+24:00',
  '2026-01-31T12:00:00',
  '2026-01-31 12:00:00Z',
  '2026-01-31',
  'infinity',
  '',
])('created %j is refused', async (created) => {
  const response = await api.post(sessionsPath).send(sessionBody({ created }));
  expect(pointersOf(expectProblem(response, 400, 'invalid-request'))).toEqual(['/created']);
});

test.each([
  'a/b',
  '/leading',
  'trailing/',
  '../../etc/passwd',
  'a%2Fb',
  '100%',
  'a?b=c&d',
  'a#b',
  'a;b',
  'a+b',
  'a:b',
  ' spaces ',
  '*',
  '...',
  '\u00a0',
  "Robert'); DROP TABLE checkout_session;--",
  '<script>alert(1)</script>',
  'Bestellung-ä-注文-😀',
  '\u202eright-to-left',
  'x'.repeat(255),
  'é'.repeat(255),
  '注'.repeat(255),
  '😀'.repeat(255),
])('the id %j is created, located and read', async (id) => {
  const { headers, body } = await api.post(sessionsPath).send(sessionBody({ id })).expect(201);
  expect(headers.location).toBe(`${url}${pathOf(id)}`);
  expect(body.id).toBe(id);
  const located = await fetch(headers.location as string);
  expect(located.status).toBe(200);
  expect(await located.json()).toEqual(body);
});

test('ids that differ only in case or Unicode normalisation are different', async () => {
  for (const id of ['cs_Case', 'cs_case', 'cs_\u00e9', 'cs_e\u0301']) {
    await api.post(sessionsPath).send(sessionBody({ id })).expect(201);
  }
});

test('a PUBLIC_URL with non-ASCII letters is encoded in Location', async () => {
  const { api: named } = await startService({ database, environment: { PUBLIC_URL: 'https://пример.рф/база' } });
  const sent = sessionBody();
  const { headers } = await named.post(sessionsPath).send(sent).expect(201);
  const base = 'https://xn--e1afmkfd.xn--p1ai/%D0%B1%D0%B0%D0%B7%D0%B0';
  expect(headers.location).toBe(`${base}${pathOf(sent.id)}`);
});

test('a trailing slash is accepted and absent from Location', async () => {
  const sent = sessionBody();
  const { headers } = await api.post(`${sessionsPath}/`).send(sent).expect(201);
  expect(headers.location).toBe(`${url}${pathOf(sent.id)}`);
  await api.get(`${pathOf(sent.id)}/`).expect(200);
});

test.each(['application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON'])(
  'the content type %s is accepted as JSON',
  async (type) => {
    const sent = sessionBody({ customer: 'cus_ü😀' });
    const { body } = await api.post(sessionsPath).set('content-type', type).send(JSON.stringify(sent)).expect(201);
    expect(body.customer).toBe('cus_ü😀');
  },
);

test('HEAD answers like GET without the body', async () => {
  const sent = sessionBody();
  const { headers, text } = await api.post(sessionsPath).send(sent).expect(201);
  const head = await api.head(pathOf(sent.id)).expect(200);
  expect(head.headers.etag).toBe(headers.etag);
  expect(head.headers['content-length']).toBe(String(Buffer.byteLength(text)));
  expect(head.text ?? '').toBe('');
  await api.head(sessionsPath).expect(200);
  await api.head(pathOf('cs_test_nobody')).expect(404);
});

test('text with SQL, HTML and header injections is stored unchanged', async () => {
  const attack = `'; DELETE FROM checkout_session; -- "\\ \${1} $1 %s <img src=x onerror=alert(1)>\r\nSet-Cookie: a=b`;
  const sent = sessionBody({ customer: attack, cancel_url: attack, metadata: { [attack]: attack } });
  await api.post(sessionsPath).send(sent).expect(201);
  const { body } = await api.get(pathOf(sent.id)).expect(200);
  expect(body).toMatchObject({ customer: attack, cancel_url: attack, metadata: { [attack]: attack } });
});

test('a page of another origin cannot create a session', async () => {
  const sent = sessionBody();
  expectProblem(await api.post(sessionsPath).set('origin', 'https://evil.example').send(sent), 403, 'forbidden');
  await api.get(pathOf(sent.id)).expect(404);
});
