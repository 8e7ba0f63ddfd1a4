import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { onPostgres } from '../support/database.js';
import { proofRuns } from '../support/runs.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { pathOf, sessionSteps } from './support.js';

const { api, database } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const { createSession } = sessionSteps(api);

const statusesOf = (responses: { status: number }[]) => responses.map(({ status }) => status);

/** Sends `count` requests, each before any is answered. */
function atOnce<Result>(count: number, request: (index: number) => PromiseLike<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => request(index)));
}

/** Counts the answers by status. */
function tally(responses: { status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const status of statusesOf(responses)) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const versionIn = (etag: string) => Number(/-(\d+)"$/.exec(etag)?.[1]);

test('concurrent patches of different metadata keys all survive', async () => {
  const { path, etag } = await createSession({ metadata: { before: 'kept' } });
  const responses = await atOnce(30, (index) =>
    api.patch(path).send({ metadata: { [`key_${index}`]: String(index) } }),
  );
  expect(tally(responses)).toEqual({ 200: 30 });
  const { body, headers } = await api.get(path).expect(200);
  expect(body.metadata).toEqual({
    before: 'kept',
    ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`key_${index}`, String(index)])),
  });
  expect(versionIn(headers.etag as string)).toBe(versionIn(etag) + 30);
  expect(new Set(responses.map((response) => response.headers.etag)).size).toBe(30);
});

test('concurrent patches of nested keys and removals all survive', async () => {
  const before = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`old_${index}`, 'x']));
  const { path } = await createSession({ metadata: { deep: before } });
  const responses = await atOnce(30, (index) => {
    const [name, value] = index % 2 === 0 ? [`old_${index / 2}`, null] : [`new_${index}`, index];
    return api.patch(path).send({ metadata: { deep: { [name]: value } } });
  });
  expect(tally(responses)).toEqual({ 200: 30 });
  const { body } = await api.get(path).expect(200);
  const odd = Array.from({ length: 15 }, (_, index) => 2 * index + 1);
  expect(body.metadata.deep).toEqual(Object.fromEntries(odd.map((index) => [`new_${index}`, index])));
});

test('concurrent patches of different fields all survive', async () => {
  const { path, body: before } = await createSession();
  const changes = {
    ...{ billing_address_collection: 'required', mode: 'setup', submit_type: 'book', livemode: true },
    ...{ created: '2026-01-31T12:00:00+00:00', metadata: { a: 'b' }, description: 'd', cancel_url: 'c' },
    ...{ client_reference_id: 'r', customer_email: 'e', display_items: { '0': 'i' }, locale: 'l' },
    ...{ payment_method_types: { '0': 'card', '1': 'link' }, success_url: 's', djstripe_owner_account: 'o' },
    ...{ customer: 'u', payment_intent: 'p', subscription: 'n' },
  };
  const patches = Object.entries(changes);
  const responses = await atOnce(patches.length, (index) =>
    api.patch(path).send(Object.fromEntries([patches[index] as [string, unknown]])),
  );
  expect(tally(responses)).toEqual({ 200: patches.length });
  const { body } = await api.get(path).expect(200);
  const { djstripe_updated } = body;
  expect(body).toEqual({ ...before, ...changes, djstripe_updated });
});

test('of concurrent creates of one id exactly one succeeds', async () => {
  const { id } = sessionBody();
  const responses = await atOnce(30, (index) =>
    api.post(sessionsPath).send(sessionBody({ id, customer: `cus_${index}` })),
  );
  expect(tally(responses)).toEqual({ 201: 1, 409: 29 });
  const created = responses.find(({ status }) => status === 201);
  const { text, headers } = await api.get(pathOf(id)).expect(200);
  expect([text, headers.etag]).toEqual([created?.text, created?.headers.etag]);
});

test('of concurrent PUTs of a new id one creates and the rest replace', async () => {
  const { id } = sessionBody();
  const responses = await atOnce(30, (index) =>
    api.put(pathOf(id)).send(sessionBody({ id, customer: `cus_${index}` })),
  );
  expect(tally(responses)).toEqual({ 200: 29, 201: 1 });
  expect(new Set(responses.map(({ body }) => body.djstripe_id)).size).toBe(1);
  const { text, headers } = await api.get(pathOf(id)).expect(200);
  expect(versionIn(headers.etag as string)).toBe(30);
  expect(responses.map((response) => response.text)).toContain(text);
});

test('of concurrent PUTs with If-None-Match: * exactly one creates', async () => {
  const { id } = sessionBody();
  const responses = await atOnce(30, (index) =>
    api
      .put(pathOf(id))
      .set('if-none-match', '*')
      .send(sessionBody({ id, customer: `cus_${index}` })),
  );
  expect(tally(responses)).toEqual({ 201: 1, 412: 29 });
  const created = responses.find(({ status }) => status === 201);
  expect((await api.get(pathOf(id)).expect(200)).text).toBe(created?.text);
});

test('concurrent creates of many ids each get their own djstripe_id', async () => {
  const responses = await atOnce(60, (index) => {
    const sent = sessionBody();
    return index % 2 === 0 ? api.post(sessionsPath).send(sent) : api.put(pathOf(sent.id)).send(sent);
  });
  expect(tally(responses)).toEqual({ 201: 60 });
  expect(new Set(responses.map(({ body }) => body.djstripe_id)).size).toBe(60);
});

test('of concurrent writers with the same ETag exactly one succeeds', async () => {
  const { path, sent, etag } = await createSession();
  const writers = [
    (customer: string) => api.put(path).send({ ...sent, customer }),
    (customer: string) => api.patch(path).send({ customer }),
  ];
  const responses = await atOnce(30, (index) =>
    (writers[index % writers.length] as (typeof writers)[0])(`cus_${index}`).set('if-match', etag),
  );
  expect(tally(responses)).toEqual({ 200: 1, 412: 29 });
  const winner = responses.findIndex(({ status }) => status === 200);
  const { body, headers } = await api.get(path).expect(200);
  expect(body.customer).toBe(`cus_${winner}`);
  expect(headers.etag).toBe(responses[winner]?.headers.etag);
});

test('of concurrent deletes with the same ETag exactly one succeeds', async () => {
  const { path, etag } = await createSession();
  const responses = await atOnce(10, () => api.delete(path).set('if-match', etag));
  expect(tally(responses)).toEqual({ 204: 1, 412: 9 });
});

test('a counter raised with If-Match by concurrent writers loses no increment', async () => {
  const { path } = await createSession({ metadata: { counter: 0 } });
  const raise = async (): Promise<void> => {
    const { body, headers } = await api.get(path).expect(200);
    const response = await api
      .patch(path)
      .set('if-match', headers.etag as string)
      .send({ metadata: { counter: body.metadata.counter + 1 } });
    if (response.status === 412) return raise();
    expect(response.status).toBe(200);
  };
  await atOnce(8, raise);
  expect((await api.get(path).expect(200)).body.metadata.counter).toBe(8);
});

test('djstripe_updated never goes back during concurrent patches', async () => {
  const { path } = await createSession();
  const responses = await atOnce(40, (index) => api.patch(path).send({ locale: String(index) }));
  expect(tally(responses)).toEqual({ 200: 40 });
  const inOrder = responses.sort((a, b) => versionIn(a.headers.etag ?? '') - versionIn(b.headers.etag ?? ''));
  const times = inOrder.map(({ body }) =>
    // Whole seconds have no fraction.
    body.djstripe_updated.replace(/(\.\d+)?\+00:00$/, (_: string, fraction = '.') => fraction.padEnd(7, '0')),
  );
  expect(times).toEqual([...times].sort());
});

test('readers during writes see only complete states', async () => {
  const { path, sent } = await createSession({ customer: 'cus_0', locale: '0', metadata: { n: '0' } });
  const responses = await atOnce(40, (index) => {
    const n = String(index);
    return index % 2 === 0
      ? api.get(path)
      : api.put(path).send({ ...sent, customer: `cus_${n}`, locale: n, metadata: { n } });
  });
  expect(tally(responses)).toEqual({ 200: 40 });
  for (const { body } of responses) {
    expectSession(body);
    expect(body).toMatchObject({ customer: `cus_${body.locale}`, metadata: { n: body.locale } });
  }
});

test('after concurrent creates and deletes of one id exactly one row remains, live or a tombstone', async () => {
  for (let round = 0; round < proofRuns(12); round += 1) {
    const { id } = sessionBody();
    const path = pathOf(id);
    const writes = [
      () => api.post(sessionsPath).send(sessionBody({ id })),
      () => api.delete(path),
      () => api.put(path).send(sessionBody({ id })),
      () => api.delete(path),
    ];
    const responses = await atOnce(16, (index) => (writes[index % writes.length] as (typeof writes)[0])());
    for (const status of statusesOf(responses)) expect([200, 201, 204, 404, 409]).toContain(status);

    const rows = await database.query<{ version: number; is_deleted: boolean }>({
      text: 'SELECT version, deleted_at IS NOT NULL AS is_deleted FROM checkout_session WHERE id = $1',
      values: [id],
    });
    expect(rows, `round ${round}`).toHaveLength(1);
    const isThere = rows[0]?.version !== 0;
    expect(rows[0]?.is_deleted).toBe(!isThere);
    const { status, body } = await api.get(path);
    expect(status).toBe(isThere ? 200 : 404);
    if (status === 200) expectSession(body);
    const created = statusesOf(responses).filter((one) => one === 201).length;
    const deleted = statusesOf(responses).filter((one) => one === 204).length;
    expect(created - deleted).toBe(isThere ? 1 : 0);
  }
});

// The embedded database has a single connection.
if (onPostgres) {
  test('reads continue while writes of every kind wait for a lock', async () => {
    const { path, body } = await createSession();
    let unlock = () => {};
    let unlocked: Promise<void> | undefined;
    await new Promise<void>((resolve) => {
      unlocked = database.transaction(async (query) => {
        await query({ text: 'LOCK TABLE checkout_session IN SHARE MODE', values: [] });
        resolve();
        await new Promise<void>((end) => (unlock = end));
      });
    });
    let answers = 0;
    const counted = async (request: PromiseLike<{ status: number }>) => {
      const { status } = await request;
      answers += 1;
      return status;
    };
    const writes: Promise<number>[] = [];
    for (let round = 0; round < 5; round += 1) {
      const event = rawEvent(rawSession({ id: `cs_test_waits_${round}` }));
      writes.push(counted(api.post(sessionsPath).send(sessionBody())), counted(api.put(path).send(body)));
      writes.push(counted(api.patch(path).send({ locale: 'de' })), counted(deliver(api, event)));
      // Longer than a batch may hold back the next one.
      await setTimeout(50);
    }
    const read = await api.get(path).expect(200);
    expect(read.body).toEqual(body);
    expect(answers).toBe(0);
    unlock();
    await unlocked;
    expect(await Promise.all(writes)).toEqual(new Array(5).fill([201, 200, 200, 200]).flat());
  });
}
