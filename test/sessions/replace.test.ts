import { expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { pathOf, sessionSteps } from './support.js';

const { api, database, url } = await startService();
const guarded = await startService({ database, environment: { API_KEYS: 'full-key', API_READ_KEYS: 'read-key' } });
const { createSession, expectUnchanged } = sessionSteps(api);

test('PUT of a new id creates it: 201 with Location and ETag', async () => {
  const sent = sessionBody({ customer: 'cus_new' });
  const created = await api.put(pathOf(sent.id)).send(sent).expect(201);
  expect(created.headers.location).toBe(`${url}${pathOf(sent.id)}`);
  expectSession(created.body);
  expect(created.body).toMatchObject(sent);
  const read = await api.get(pathOf(sent.id)).expect(200);
  expect([read.text, read.headers.etag]).toEqual([created.text, created.headers.etag]);
});

test('PUT of an existing id replaces it: 200 with a new ETag and no Location', async () => {
  const { path, sent, etag } = await createSession({ customer: 'cus_old' });
  const replaced = await api
    .put(path)
    .send({ ...sent, mode: 'setup', customer: 'cus_new' })
    .expect(200);
  expect(replaced.headers).not.toHaveProperty('location');
  expect(replaced.headers.etag).not.toBe(etag);
  expectSession(replaced.body);
  expect(replaced.body).toMatchObject({ mode: 'setup', customer: 'cus_new' });
  const read = await api.get(path).expect(200);
  expect([read.text, read.headers.etag]).toEqual([replaced.text, replaced.headers.etag]);
});

test('an omitted optional property becomes null or ""', async () => {
  const { path, sent } = await createSession({
    ...{ livemode: true, created: '2026-01-31T12:00:00Z', metadata: { a: 'b' }, description: 'd' },
    ...{ cancel_url: 'c', client_reference_id: 'r', customer_email: 'e', display_items: { '0': 1 }, locale: 'l' },
    ...{ success_url: 's', djstripe_owner_account: 'o', customer: 'u', payment_intent: 'p', subscription: 'n' },
  });
  const { billing_address_collection, mode, submit_type, payment_method_types } = sent;
  const { body } = await api
    .put(path)
    .send({ billing_address_collection, mode, submit_type, payment_method_types })
    .expect(200);
  expectSession(body);
  expect(body).toMatchObject({
    ...{ livemode: null, created: null, metadata: null, description: null, display_items: null },
    ...{ cancel_url: '', client_reference_id: '', customer_email: '', locale: '', success_url: '' },
    ...{ djstripe_owner_account: null, customer: null, payment_intent: null, subscription: null },
  });
});

test('maps are replaced whole and keep nulls inside', async () => {
  const { path, sent } = await createSession({ metadata: { a: '1', b: '2' }, payment_method_types: ['card', 'link'] });
  const { body } = await api
    .put(path)
    .send({ ...sent, metadata: { b: null, c: '3' }, payment_method_types: ['paypal'] })
    .expect(200);
  expect(body.metadata).toEqual({ b: null, c: '3' });
  expect(body.payment_method_types).toEqual({ '0': 'paypal' });
});

test('a session that was read can be sent back unchanged', async () => {
  const { path, body: before } = await createSession({ metadata: { a: 'b' }, created: '2026-01-31T12:00:00.5Z' });
  const { body: after } = await api.put(path).send(before).expect(200);
  expect({ ...after, djstripe_updated: null }).toEqual({ ...before, djstripe_updated: null });
});

test('the body may omit the id', async () => {
  const { id, ...rest } = sessionBody();
  expect((await api.put(pathOf(id)).send(rest).expect(201)).body.id).toBe(id);
  expect((await api.put(pathOf(id)).send(rest).expect(200)).body.id).toBe(id);
});

test.each([['another id'], [''], [null], [7]])('the id %j in the body is refused under another path', async (id) => {
  const { path, sent, etag } = await createSession();
  const problem = expectProblem(await api.put(path).send({ ...sent, id }), 400, 'invalid-request');
  expect(problem.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain('/id');
  await expectUnchanged(path, etag);
});

test('the id of the path is decoded before it is compared', async () => {
  const sent = sessionBody({ id: 'put/ä %2F 😀' });
  await api.put(pathOf(sent.id)).send(sent).expect(201);
  await api
    .put(`${pathOf(sent.id)}/`)
    .send(sent)
    .expect(200);
  expect((await api.get(pathOf(sent.id)).expect(200)).body.id).toBe(sent.id);
});

test('an invalid PUT neither replaces nor creates', async () => {
  const { path, sent, etag } = await createSession();
  const fresh = sessionBody();
  for (const wrong of [{ mode: null }, { colour: 'red' }, { submit_type: undefined }, { created: 'now' }]) {
    expectProblem(await api.put(path).send({ ...sent, ...wrong }), 400, 'invalid-request');
    expectProblem(await api.put(pathOf(fresh.id)).send({ ...fresh, ...wrong }), 400, 'invalid-request');
  }
  await expectUnchanged(path, etag);
  await api.get(pathOf(fresh.id)).expect(404);
});

test.each([
  ['the tag', (etag: string) => etag],
  ['the tag weakened by a proxy', (etag: string) => `W/${etag}`],
  ['a list that contains the tag', (etag: string) => `"other", ${etag}`],
  ['*', () => '*'],
])('PUT succeeds with If-Match: %s', async (_, header) => {
  const { path, sent, etag } = await createSession();
  const { body } = await api
    .put(path)
    .set('if-match', header(etag))
    .send({ ...sent, customer: 'cus_new' })
    .expect(200);
  expect(body.customer).toBe('cus_new');
});

test('If-Match with a stale tag is 412 and changes nothing', async () => {
  const { path, sent, etag } = await createSession();
  const { headers } = await api.put(path).send(sent).expect(200);
  const stale = await api
    .put(path)
    .set('if-match', etag)
    .send({ ...sent, customer: 'cus_lost' });
  expectProblem(stale, 412, 'precondition-failed');
  await expectUnchanged(path, headers.etag as string);
});

test.each(['*', '"1-1"', 'W/"1-1", "2-1"'])('If-Match: %s on a missing id is 412', async (header) => {
  const sent = sessionBody();
  expectProblem(await api.put(pathOf(sent.id)).set('if-match', header).send(sent), 412, 'precondition-failed');
  await api.get(pathOf(sent.id)).expect(404);
});

test('PUT with If-None-Match: * creates but never replaces', async () => {
  const sent = sessionBody({ customer: 'cus_first' });
  const created = await api.put(pathOf(sent.id)).set('if-none-match', '*').send(sent).expect(201);
  expect(created.headers.location).toBe(`${url}${pathOf(sent.id)}`);
  const again = await api
    .put(pathOf(sent.id))
    .set('if-none-match', '*')
    .send({ ...sent, customer: 'cus_lost' });
  expectProblem(again, 412, 'precondition-failed');
  await expectUnchanged(pathOf(sent.id), created.headers.etag as string);
});

test("If-None-Match with a session's tag is 412", async () => {
  const { path, sent, etag } = await createSession();
  expectProblem(await api.put(path).set('if-none-match', `"x", ${etag}`).send(sent), 412, 'precondition-failed');
  await expectUnchanged(path, etag);
  await api.put(path).set('if-none-match', '"x"').send(sent).expect(200);
});

test('both preconditions must hold', async () => {
  const { path, sent, etag } = await createSession();
  const both = await api.put(path).set({ 'if-match': etag, 'if-none-match': '*' }).send(sent);
  expectProblem(both, 412, 'precondition-failed');
  const fresh = sessionBody();
  const neither = await api.put(pathOf(fresh.id)).set({ 'if-match': '*', 'if-none-match': '*' }).send(fresh);
  expectProblem(neither, 412, 'precondition-failed');
  await api.get(pathOf(fresh.id)).expect(404);
});

test.each(['if-match', 'if-none-match'])('a malformed %s is 400 and named', async (name) => {
  const { path, sent, etag } = await createSession();
  const problem = expectProblem(await api.put(path).set(name, 'no quotes').send(sent), 400, 'invalid-request');
  expect(problem.errors).toMatchObject([{ in: 'header', pointer: `/${name}` }]);
  await expectUnchanged(path, etag);
});

test('PUT of an existing id uses no djstripe_id', async () => {
  const { path, sent, body: first } = await createSession();
  for (let times = 0; times < 3; times += 1) {
    expect((await api.put(path).send(sent).expect(200)).body.djstripe_id).toBe(first.djstripe_id);
  }
  await api.put(path).set('if-match', '"stale"').send(sent).expect(412);
  await api.put(path).set('if-none-match', '*').send(sent).expect(412);
  const next = sessionBody();
  const { body: second } = await api.put(pathOf(next.id)).send(next).expect(201);
  expect(second.djstripe_id).toBe(first.djstripe_id + 1);
});

test('PUT keeps djstripe_created and raises djstripe_updated', async () => {
  const { path, sent, body: before } = await createSession();
  const { body: after } = await api
    .put(path)
    .send({ ...sent, djstripe_created: '1999-01-01T00:00:00Z', djstripe_updated: '1999-01-01T00:00:00Z' })
    .expect(200);
  expect(after.djstripe_created).toBe(before.djstripe_created);
  expect(after.djstripe_updated).not.toBe(before.djstripe_updated);
  expect(Date.parse(after.djstripe_updated)).toBeGreaterThanOrEqual(Date.parse(before.djstripe_updated));
});

test('an ETag never returns, even after a delete and a new create', async () => {
  const { path, sent, etag } = await createSession();
  const tags = [etag];
  const remember = ({ headers }: { headers: Record<string, string> }) => tags.push(headers.etag as string);
  remember(await api.put(path).send(sent).expect(200));
  await api.delete(path).expect(204);
  remember(await api.put(path).send(sent).expect(201));
  remember(await api.put(path).send(sent).expect(200));
  await api.delete(path).expect(204);
  remember(await api.post(sessionsPath).send(sent).expect(201));
  expect(new Set(tags).size).toBe(tags.length);
  expectProblem(await api.put(path).set('if-match', etag).send(sent), 412, 'precondition-failed');
});

test('PUT keeps the raw Stripe object and its status', async () => {
  const { path, sent } = await createSession();
  await database.query({
    text: `UPDATE checkout_session SET stripe_data = '{"status":"open"}', status = 'open' WHERE id = $1`,
    values: [sent.id],
  });
  await api.put(path).send(sent).expect(200);
  const rows = await database.query({
    text: 'SELECT stripe_data, status FROM checkout_session WHERE id = $1',
    values: [sent.id],
  });
  expect(rows).toEqual([{ stripe_data: { status: 'open' }, status: 'open' }]);
});

test('PUT needs a key with full access', async () => {
  const { path, sent, etag } = await createSession();
  const fresh = sessionBody();
  for (const [target, body] of [
    [path, sent],
    [pathOf(fresh.id), fresh],
  ] as const) {
    expectProblem(await guarded.api.put(target).send(body), 401, 'unauthorized');
    const reading = await guarded.api.put(target).set('authorization', 'Bearer read-key').send(body);
    expectProblem(reading, 403, 'forbidden');
  }
  await expectUnchanged(path, etag);
  await api.get(pathOf(fresh.id)).expect(404);
  await guarded.api.put(path).set('authorization', 'Bearer full-key').send(sent).expect(200);
});
