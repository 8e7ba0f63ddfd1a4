import { expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { sessionSteps } from './support.js';

const { api, database } = await startService();
const guarded = await startService({ database, environment: { API_KEYS: 'full-key', API_READ_KEYS: 'read-key' } });
const { createSession } = sessionSteps(api);

test('GET answers with the session and its ETag, for private caches only', async () => {
  const { path, body, etag } = await createSession();
  const read = await api.get(path).expect(200);
  expect(read.headers['content-type']).toMatch(/^application\/json/);
  expect(read.headers['cache-control']).toBe('private, no-cache');
  expect(read.headers.etag).toBe(etag);
  expect(read.body).toEqual(body);
  expectSession(read.body);
});

test('a trailing slash gives the same answer', async () => {
  const { path, text } = await createSession();
  expect((await api.get(`${path}/`).expect(200)).text).toBe(text);
});

test('reading changes nothing', async () => {
  const { path, text, etag } = await createSession();
  for (let times = 0; times < 3; times += 1) {
    const read = await api.get(path).expect(200);
    expect([read.text, read.headers.etag]).toEqual([text, etag]);
  }
});

test.each([
  ['the tag', (etag: string) => etag],
  ['the tag weakened by a proxy', (etag: string) => `W/${etag}`],
  ['a list that contains the tag', (etag: string) => `"other", ${etag}`],
  ['a list without spaces that contains the weakened tag', (etag: string) => `W/"other",W/${etag},"more"`],
  ['*', () => '*'],
])('If-None-Match with %s is 304 without a body', async (_, header) => {
  const { path, etag } = await createSession();
  const response = await api.get(path).set('if-none-match', header(etag)).expect(304);
  expect(response.text).toBe('');
  expect(response.headers.etag).toBe(etag);
  const head = await api.head(path).set('if-none-match', header(etag)).expect(304);
  expect(head.headers.etag).toBe(etag);
});

test.each(['"other"', 'W/"other"', '"other", "more"', '""'])(
  'If-None-Match: %s is 200 with the session',
  async (header) => {
    const { path, text } = await createSession();
    const response = await api.get(path).set('if-none-match', header).expect(200);
    expect(response.text).toBe(text);
  },
);

test('after a change the old ETag is 200 and the new one 304', async () => {
  const { path, etag } = await createSession();
  const changed = await api.patch(path).send({ customer: 'cus_changed' }).expect(200);
  const read = await api.get(path).set('if-none-match', etag).expect(200);
  expect(read.body.customer).toBe('cus_changed');
  await api
    .get(path)
    .set('if-none-match', changed.headers.etag as string)
    .expect(304);
});

test('the ETag of one session does not match another', async () => {
  const [one, other] = [await createSession(), await createSession()];
  expect(one.etag).not.toBe(other.etag);
  await api.get(one.path).set('if-none-match', other.etag).expect(200);
});

test.each(['x', '"unclosed', 'w/"lower"', '"a" "b"', '*, "a"'])(
  'the malformed If-None-Match %s is 400 and named',
  async (header) => {
    const { path } = await createSession();
    const problem = expectProblem(await api.get(path).set('if-none-match', header), 400, 'invalid-request');
    expect(problem.errors).toMatchObject([{ in: 'header', pointer: '/if-none-match' }]);
  },
);

test('an unknown id is 404, even with If-None-Match', async () => {
  const path = `${sessionsPath}/cs_test_unknown`;
  const problem = expectProblem(await api.get(path), 404, 'session-not-found');
  expect(problem.instance).toBe(path);
  expectProblem(await api.get(path).set('if-none-match', '*'), 404, 'session-not-found');
});

test('instance and detail never repeat the query', async () => {
  const response = await api.get(`${sessionsPath}/cs_test_unknown?include=payment&cursor=secret`);
  expectProblem(response, 400, 'invalid-request');
  expect(response.text).not.toContain('secret');
});

test('a prefix, another case or a pattern of an id is 404', async () => {
  const { body } = await createSession();
  for (const id of [body.id.slice(0, -1), body.id.toUpperCase(), `${body.id} `, '%', '_', `${body.id}' OR '1'='1`]) {
    await api.get(`${sessionsPath}/${encodeURIComponent(id)}`).expect(404);
  }
});

test('a read key can read, and without a key neither existence nor ETag is revealed', async () => {
  const { path, text, etag } = await createSession();
  const read = await guarded.api.get(path).set('authorization', 'Bearer read-key').expect(200);
  expect(read.text).toBe(text);
  for (const target of [path, `${sessionsPath}/cs_test_unknown`]) {
    const refused = await guarded.api.get(target).set('if-none-match', etag);
    expectProblem(refused, 401, 'unauthorized');
    expect(refused.headers).not.toHaveProperty('etag');
  }
});

test('a malformed If-None-Match is 400 with include=payment too', async () => {
  const { id } = sessionBody();
  await api.put(`${sessionsPath}/${id}`).send(sessionBody({ id })).expect(201);
  const response = await api.get(`${sessionsPath}/${id}?include=payment`).set('if-none-match', 'no tag');
  expectProblem(response, 400, 'invalid-request');
});
