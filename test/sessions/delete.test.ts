import { expect, test } from 'vitest';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { pathOf, sessionSteps } from './support.js';

const { api, database } = await startService();
const guarded = await startService({ database, environment: { API_KEYS: 'full-key', API_READ_KEYS: 'read-key' } });
const { createSession } = sessionSteps(api);

const tombstonesOf = (id: string) =>
  database.query<Record<string, unknown>>({
    text: 'SELECT * FROM checkout_session WHERE id = $1 AND version = 0',
    values: [id],
  });

test('DELETE answers 204 without a body, and the session is then 404', async () => {
  const { path, sent } = await createSession();
  const response = await api.delete(path).expect(204);
  expect(response.text).toBe('');
  expect(response.headers).not.toHaveProperty('content-type');
  expectProblem(await api.get(path), 404, 'session-not-found');
  const { body: list } = await api.get(sessionsPath).query({ id: sent.id }).expect(200);
  expect(list.results).toEqual([]);
});

test('DELETE touches no other session', async () => {
  const [gone, kept] = [await createSession(), await createSession()];
  await api.delete(gone.path).expect(204);
  expect((await api.get(kept.path).expect(200)).headers.etag).toBe(kept.etag);
});

test('DELETE of a missing or deleted session is 404 and leaves no new tombstone', async () => {
  const { path } = await createSession();
  await api.delete(path).expect(204);
  expectProblem(await api.delete(path), 404, 'session-not-found');
  expectProblem(await api.delete(pathOf('cs_test_never')), 404, 'session-not-found');
  expect(await tombstonesOf('cs_test_never')).toEqual([]);
});

test('a tombstone holds only the id and the time of deletion', async () => {
  const { path, sent } = await createSession({ customer: 'cus_forget_me', customer_email: 'me@example.com' });
  await api.delete(path).expect(204);
  const [tombstone, ...more] = await tombstonesOf(sent.id);
  expect(more).toEqual([]);
  expect(tombstone?.id).toBe(sent.id);
  expect(Math.abs(Number(tombstone?.deleted_at) - Date.now())).toBeLessThan(60_000);
  const other = await createSession({ mode: 'setup', metadata: { a: '1' }, created: '2026-01-01T00:00:00Z' });
  await api.delete(other.path).expect(204);
  const [another] = await tombstonesOf(other.sent.id);
  const own = { id: '', deleted_at: '' };
  expect({ ...another, ...own }).toEqual({ ...tombstone, ...own });
  expect(JSON.stringify(tombstone)).not.toMatch(/forget|example/);
});

test.each([
  ['POST', (id: string) => api.post(sessionsPath).send(sessionBody({ id }))],
  ['PUT', (id: string) => api.put(pathOf(id)).send(sessionBody({ id }))],
  [
    'PUT with If-None-Match: *',
    (id: string) => api.put(pathOf(id)).set('if-none-match', '*').send(sessionBody({ id })),
  ],
])('%s recreates a deleted id as a new session and removes its tombstone', async (_, create) => {
  const { path, sent, body: first, etag } = await createSession({ customer: 'cus_before' });
  await api.delete(path).expect(204);
  const { body, headers } = await create(sent.id).expect(201);
  expect(body.djstripe_id).toBeGreaterThan(first.djstripe_id);
  expect(body.customer).toBeNull();
  expect(headers.etag).not.toBe(etag);
  expect(await tombstonesOf(sent.id)).toEqual([]);
  await api.delete(path).expect(204);
  expect(await tombstonesOf(sent.id)).toHaveLength(1);
});

test('a refused request does not recreate a deleted id', async () => {
  const { path, sent } = await createSession();
  await api.delete(path).expect(204);
  await api.patch(path).send({ locale: 'en' }).expect(404);
  await api.put(path).set('if-match', '*').send(sent).expect(412);
  await api
    .post(sessionsPath)
    .send({ ...sent, mode: 'gift' })
    .expect(400);
  expect(await tombstonesOf(sent.id)).toHaveLength(1);
  await api.get(path).expect(404);
});

test.each([
  ['the tag', (etag: string) => etag],
  ['the tag weakened by a proxy', (etag: string) => `W/${etag}`],
  ['a list that contains the tag', (etag: string) => `"other", ${etag}`],
  ['*', () => '*'],
])('DELETE succeeds with If-Match: %s', async (_, header) => {
  const { path, etag } = await createSession();
  await api.delete(path).set('if-match', header(etag)).expect(204);
  await api.get(path).expect(404);
});

test('a failed precondition is 412 and deletes nothing', async () => {
  const { path, sent, etag: stale } = await createSession();
  const { headers } = await api.patch(path).send({ locale: 'en' }).expect(200);
  const etag = headers.etag as string;
  for (const [name, value] of [
    ['if-match', stale],
    ['if-match', '"other", W/"more"'],
    ['if-none-match', '*'],
    ['if-none-match', etag],
  ] as const) {
    expectProblem(await api.delete(path).set(name, value), 412, 'precondition-failed');
  }
  expect((await api.get(path).expect(200)).headers.etag).toBe(etag);
  expect(await tombstonesOf(sent.id)).toEqual([]);
});

test('DELETE of a missing id with If-Match is 412', async () => {
  for (const header of ['*', '"1-1"']) {
    expectProblem(await api.delete(pathOf('cs_test_never')).set('if-match', header), 412, 'precondition-failed');
  }
});

test('a malformed If-Match is 400 and deletes nothing', async () => {
  const { path } = await createSession();
  const problem = expectProblem(await api.delete(path).set('if-match', 'x'), 400, 'invalid-request');
  expect(problem.errors).toMatchObject([{ in: 'header', pointer: '/if-match' }]);
  await api.get(path).expect(200);
});

test('DELETE works with a trailing slash and an unusual id', async () => {
  const { path } = await createSession({ id: 'delete/ä %2F' });
  await api.delete(`${path}/`).expect(204);
  await api.get(path).expect(404);
});

test('DELETE accepts a Content-Type header without a body', async () => {
  const { path } = await createSession();
  await api.delete(path).set('content-type', 'application/json').expect(204);
});

test('DELETE needs a key with full access and refuses other sites', async () => {
  const { path } = await createSession();
  expectProblem(await guarded.api.delete(path), 401, 'unauthorized');
  expectProblem(await guarded.api.delete(path).set('authorization', 'Bearer read-key'), 403, 'forbidden');
  expectProblem(await api.delete(path).set('origin', 'https://evil.example'), 403, 'forbidden');
  await api.get(path).expect(200);
  await guarded.api.delete(path).set('authorization', 'Bearer full-key').expect(204);
});
