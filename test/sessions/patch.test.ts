import { expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { expectProblem, sessionsPath, startService } from '../support/service.js';
import { sessionSteps } from './support.js';

const { api, database } = await startService();
const guarded = await startService({ database, environment: { API_KEYS: 'full-key', API_READ_KEYS: 'read-key' } });
const { createSession, expectUnchanged } = sessionSteps(api);

test('PATCH changes the named properties and keeps the rest', async () => {
  const {
    path,
    body: before,
    etag,
  } = await createSession({
    ...{ customer: 'cus_1', locale: 'en', metadata: { a: 'b' }, created: '2026-01-31T12:00:00Z', livemode: false },
  });
  const patched = await api.patch(path).send({ mode: 'setup', locale: 'fr' }).expect(200);
  expectSession(patched.body);
  const { djstripe_updated } = patched.body;
  expect(patched.body).toEqual({ ...before, mode: 'setup', locale: 'fr', djstripe_updated });
  expect(djstripe_updated).not.toBe(before.djstripe_updated);
  expect(patched.headers.etag).not.toBe(etag);
  const read = await api.get(path).expect(200);
  expect([read.text, read.headers.etag]).toEqual([patched.text, patched.headers.etag]);
});

// RFC 7396, appendix A: the original, the patch, the result.
const appendixA: [unknown, unknown, unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

const isObject = (value: unknown) => typeof value === 'object' && !Array.isArray(value);

test.each(appendixA.filter((row) => row.every(isObject)))(
  'metadata %j patched with %j becomes %j (RFC 7396, appendix A)',
  async (metadata, patch, result) => {
    const { path } = await createSession({ metadata });
    const { body } = await api.patch(path).send({ metadata: patch }).expect(200);
    expect(body.metadata).toEqual(result);
  },
);

test.each(appendixA)('a metadata key with %j patched with %j becomes %j', async (original, patch, result) => {
  const { path } = await createSession({ metadata: { kept: 'as it was', key: original } });
  const { body } = await api
    .patch(path)
    .send({ metadata: { key: patch } })
    .expect(200);
  expect(body.metadata).toEqual({ kept: 'as it was', key: result });
});

test('metadata merges by key into the stored value, even into null', async () => {
  const { path } = await createSession();
  const steps: [unknown, unknown][] = [
    [{ a: '1' }, { a: '1' }],
    [
      { b: '2', none: null },
      { a: '1', b: '2' },
    ],
    [
      { a: null, 'key with "quotes" / ~ and 😀': '3' },
      { b: '2', 'key with "quotes" / ~ and 😀': '3' },
    ],
    [{}, { b: '2', 'key with "quotes" / ~ and 😀': '3' }],
    [null, null],
    [{ again: '4', none: null }, { again: '4' }],
  ];
  for (const [metadata, result] of steps) {
    expect((await api.patch(path).send({ metadata }).expect(200)).body.metadata).toEqual(result);
  }
});

test.each(['payment_method_types', 'display_items'])('in %s an object merges and an array replaces', async (name) => {
  const { path } = await createSession({ [name]: ['card', 'link', 'paypal'] });
  const steps: [unknown, unknown][] = [
    [{ '1': 'klarna' }, { '0': 'card', '1': 'klarna', '2': 'paypal' }],
    [
      { '2': null, '3': 'eps' },
      { '0': 'card', '1': 'klarna', '3': 'eps' },
    ],
    [['sepa_debit'], { '0': 'sepa_debit' }],
    [{ first: 'card' }, { '0': 'sepa_debit', first: 'card' }],
    [[], {}],
  ];
  for (const [value, result] of steps) {
    const { body } = await api
      .patch(path)
      .send({ [name]: value })
      .expect(200);
    expect(body[name]).toEqual(result);
    expectSession(body);
  }
});

test('null sets nullable properties to null and plain strings to ""', async () => {
  const { path } = await createSession({
    ...{ livemode: true, created: '2026-01-31T12:00:00Z', metadata: { a: 'b' }, description: 'd', display_items: [1] },
    ...{ cancel_url: 'c', client_reference_id: 'r', customer_email: 'e', locale: 'l', success_url: 's' },
    ...{ djstripe_owner_account: 'o', customer: 'u', payment_intent: 'p', subscription: 'n' },
  });
  const emptied = {
    ...{ livemode: null, created: null, metadata: null, description: null, display_items: null },
    ...{ djstripe_owner_account: null, customer: null, payment_intent: null, subscription: null },
  };
  const plain = ['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'];
  const nulls = Object.fromEntries(plain.map((name) => [name, null]));
  const { body } = await api
    .patch(path)
    .send({ ...emptied, ...nulls })
    .expect(200);
  expect(body).toMatchObject({ ...emptied, ...Object.fromEntries(plain.map((name) => [name, ''])) });
  expectSession(body);
});

test.each(['billing_address_collection', 'mode', 'submit_type', 'payment_method_types', 'id'])(
  'null for the required property %s is refused',
  async (name) => {
    const { path, etag } = await createSession();
    const problem = expectProblem(await api.patch(path).send({ [name]: null }), 400, 'invalid-request');
    for (const { pointer } of problem.errors) expect(pointer).toBe(`/${name}`);
    await expectUnchanged(path, etag);
  },
);

test.each([
  ['nothing', {}],
  ['read-only properties', { djstripe_id: 1, djstripe_created: '1999-01-01T00:00:00Z', djstripe_updated: null }],
])('a patch of %s changes neither the version nor djstripe_updated', async (_, patch) => {
  const { path, text, etag } = await createSession({ metadata: { a: 'b' } });
  const patched = await api.patch(path).send(patch).expect(200);
  expect([patched.text, patched.headers.etag]).toEqual([text, etag]);
  const read = await api.get(path).expect(200);
  expect([read.text, read.headers.etag]).toEqual([text, etag]);
});

test('an empty patch still needs the session and its preconditions', async () => {
  const { path, etag } = await createSession();
  expectProblem(await api.patch(`${sessionsPath}/cs_test_unknown`).send({}), 404, 'session-not-found');
  expectProblem(await api.patch(path).set('if-match', '"stale"').send({}), 412, 'precondition-failed');
  await api.patch(path).set('if-match', etag).send({}).expect(200);
});

test('a patch may repeat the id but not change it', async () => {
  const { path, sent, etag } = await createSession();
  const { headers } = await api.patch(path).send({ id: sent.id }).expect(200);
  expect(headers.etag).toBe(etag);
  const problem = expectProblem(await api.patch(path).send({ id: 'cs_other', mode: 'setup' }), 400, 'invalid-request');
  expect(problem.errors).toMatchObject([{ in: 'body', pointer: '/id' }]);
  await expectUnchanged(path, etag);
  await api.get(`${sessionsPath}/cs_other`).expect(404);
});

test('a session that was read can be sent back with a change', async () => {
  const { path, body } = await createSession({ metadata: { a: 'b' } });
  const patched = await api
    .patch(path)
    .send({ ...body, locale: 'it' })
    .expect(200);
  const { djstripe_updated } = patched.body;
  expect(patched.body).toEqual({ ...body, locale: 'it', djstripe_updated });
});

test.each([
  [{ colour: 'red' }, ['/colour']],
  [{ mode: 'gift', created: 'now', livemode: 'yes' }, ['/created', '/livemode', '/mode']],
  [{ metadata: ['a'] }, ['/metadata']],
  [{ metadata: 'a', payment_method_types: 'card' }, ['/metadata', '/payment_method_types']],
  [{ metadata: { a: { b: 'x\0y' } } }, ['/metadata/a/b']],
])('the patch %j is refused at %j and changes nothing', async (patch, pointers) => {
  const { path, etag } = await createSession();
  const problem = expectProblem(await api.patch(path).send({ customer: 'cus_lost', ...patch }), 400, 'invalid-request');
  expect(problem.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(pointers);
  await expectUnchanged(path, etag);
});

test.each([[[]], [[{ op: 'replace', path: '/mode', value: 'setup' }]]])(
  'the body %j, which is not an object, is refused',
  async (patch) => {
    const { path, etag } = await createSession();
    const problem = expectProblem(await api.patch(path).send(patch), 400, 'invalid-request');
    expect(problem.errors).toEqual([{ in: 'body', pointer: '', detail: 'must be a JSON object' }]);
    await expectUnchanged(path, etag);
  },
);

test.each(['application/merge-patch+json', 'application/merge-patch+json; charset=utf-8', 'application/json'])(
  'PATCH accepts %s',
  async (type) => {
    const { path } = await createSession();
    const patch = JSON.stringify({ customer: 'cus_ü' });
    const { body } = await api.patch(path).set('content-type', type).send(patch).expect(200);
    expect(body.customer).toBe('cus_ü');
  },
);

test('POST and PUT refuse a merge patch, and PATCH refuses a JSON patch', async () => {
  const { path, sent, etag } = await createSession();
  const type = 'application/merge-patch+json';
  const body = JSON.stringify(sent);
  for (const response of [
    await api.post(sessionsPath).set('content-type', type).send(body),
    await api.put(path).set('content-type', type).send(body),
    await api.patch(path).set('content-type', 'application/json-patch+json').send('[]'),
  ]) {
    expectProblem(response, 415, 'unsupported-media-type');
  }
  await expectUnchanged(path, etag);
});

test('a malformed merge patch is 400', async () => {
  const { path, etag } = await createSession();
  for (const text of ['{', '', '{"metadata":{"__proto__":{"a":1}}}']) {
    const response = await api.patch(path).set('content-type', 'application/merge-patch+json').send(text);
    expectProblem(response, 400, 'malformed-request');
  }
  await expectUnchanged(path, etag);
});

test.each([
  ['the tag', (etag: string) => etag],
  ['the tag weakened by a proxy', (etag: string) => `W/${etag}`],
  ['a list that contains the tag', (etag: string) => `"other",${etag}`],
  ['*', () => '*'],
])('PATCH succeeds with If-Match: %s', async (_, header) => {
  const { path, etag } = await createSession();
  const { body } = await api.patch(path).set('if-match', header(etag)).send({ customer: 'cus_new' }).expect(200);
  expect(body.customer).toBe('cus_new');
});

test('a failed precondition is 412 and changes nothing', async () => {
  const { path, etag: stale } = await createSession();
  const { headers } = await api.patch(path).send({ locale: 'en' }).expect(200);
  const etag = headers.etag as string;
  for (const [name, value] of [
    ['if-match', stale],
    ['if-none-match', '*'],
    ['if-none-match', etag],
  ] as const) {
    expectProblem(await api.patch(path).set(name, value).send({ locale: 'fr' }), 412, 'precondition-failed');
  }
  await expectUnchanged(path, etag);
  await api.patch(path).set('if-none-match', stale).send({ locale: 'fr' }).expect(200);
});

test('PATCH of a missing id is 404, or 412 with If-Match, and creates nothing', async () => {
  const path = `${sessionsPath}/cs_test_missing`;
  expectProblem(await api.patch(path).send({ locale: 'en' }), 404, 'session-not-found');
  for (const header of ['*', '"1-1"']) {
    expectProblem(await api.patch(path).set('if-match', header).send({ locale: 'en' }), 412, 'precondition-failed');
  }
  expectProblem(await api.patch(path).send({ colour: 'red' }), 400, 'invalid-request');
  await api.get(path).expect(404);
});

test('PATCH keeps the raw Stripe object', async () => {
  const { path, sent } = await createSession();
  await database.query({
    text: `UPDATE checkout_session SET stripe_data = '{"status":"open"}' WHERE id = $1`,
    values: [sent.id],
  });
  await api
    .patch(path)
    .send({ metadata: { a: 'b' } })
    .expect(200);
  const rows = await database.query({
    text: 'SELECT stripe_data FROM checkout_session WHERE id = $1',
    values: [sent.id],
  });
  expect(rows).toEqual([{ stripe_data: { status: 'open' } }]);
});

test('PATCH needs a key with full access', async () => {
  const { path, etag } = await createSession();
  expectProblem(await guarded.api.patch(path).send({ locale: 'en' }), 401, 'unauthorized');
  const reading = await guarded.api.patch(path).set('authorization', 'Bearer read-key').send({ locale: 'en' });
  expectProblem(reading, 403, 'forbidden');
  await expectUnchanged(path, etag);
  await guarded.api.patch(path).set('authorization', 'Bearer full-key').send({ locale: 'en' }).expect(200);
});
