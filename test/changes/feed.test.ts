import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createChangeFeed } from '../../src/changes/feed.js';
import { changeStore } from '../../src/database/changes.js';
import type { Database } from '../../src/database/engine/database.js';
import { expectComponent } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { blocksOf, currentCursor, pollConsumer, streamConsumer } from './consumers.js';

const path = '/api/changes';
const { api, url, database } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const logged: string[] = [];
const distributed = await startService({
  logger: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
});
const restored = await startService();
const retained = await startService();
const secret = await startService({
  database,
  environment: { API_KEYS: 'full-access-key', API_READ_KEYS: 'key-that-reads' },
});

async function create(agent = api): Promise<string> {
  const body = sessionBody();
  await agent.post(sessionsPath).send(body).expect(201);
  return body.id;
}

/** Inserts thousands of changes as the triggers do. Without the announcement the horizon would pass this writer. */
const fill = (own: Database, count: number, type: string, age = '0 days', id = 'cs_test_none') =>
  own.query({
    text: `INSERT INTO checkout_session_change (session_id, at, version, type, source)
      SELECT $4, now() - $3::interval, 1, $2, 'api' FROM generate_series(1, $1::integer) AS n WHERE checkout_session_change_announce()`,
    values: [count, type, age, id],
  });

const get = async (query: string, agent = api) => (await agent.get(`${path}?${query}`).expect(200)).body;

/** Opens a stream and closes it after the test. */
async function open(query: string, headers: Record<string, string> = {}, base = url) {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const response = await fetch(`${base}${path}?${query}`, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: ending.signal,
  });
  return { response, blocks: blocksOf(response.body as never), close: () => ending.abort() };
}

describe('a page', () => {
  test('lists the changes in the shape the contract publishes', async () => {
    const cursor = await currentCursor(url);
    const id = `cs_test_page_${Date.now()}`;
    await deliver(api, rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }), { id: 'evt_page' }));
    await api.patch(`${sessionsPath}/${id}`).send({ locale: 'de' }).expect(200);
    const { body, headers } = await api.get(`${path}?cursor=${cursor}`).expect(200);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(headers['cache-control']).toBe('private, no-cache');
    expect(headers.vary).toContain('Accept');
    expectComponent('CheckoutSessionChangePage', body);
    const session = (await api.get(`${sessionsPath}/${id}`).expect(200)).body;
    const payment = (await api.get(`${sessionsPath}/${id}/payment`).expect(200)).body;
    const [paid, updated] = body.results;
    expect(paid).toEqual({
      id: expect.any(String),
      type: 'paid',
      session_id: id,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/),
      version: 1,
      source: 'event',
      previous: { status: null, payment_status: null },
      event: { id: 'evt_page', type: 'checkout.session.completed' },
      session,
      payment,
    });
    expect(Object.keys(paid)).toEqual([
      ...['id', 'type', 'session_id', 'at', 'version', 'source', 'previous', 'event', 'session', 'payment'],
    ]);
    expect(updated).toMatchObject({ type: 'updated', version: 2, source: 'api', event: null, session, payment });
    expect(body).toMatchObject({ cursor: updated.id, more: false });
    expect(body.next).toBe(`${url}${path}?cursor=${body.cursor}`);
    expect(session.locale).toBe('de');
  });

  test('continues after its cursor, and after the id of any change', async () => {
    let cursor = await currentCursor(url);
    const ids = [await create(), await create(), await create()];
    const whole = await get(`cursor=${cursor}`);
    const seen: string[] = [];
    for (let more = true; more; ) {
      const page = await get(`cursor=${cursor}&limit=1`);
      seen.push(...page.results.map((change: { session_id: string }) => change.session_id));
      ({ more, cursor } = page);
      expect(page.next).toContain(`limit=1`);
    }
    expect(seen).toEqual(ids);
    const after = await get(`cursor=${whole.results[1].id}`);
    expect(after.results.map((change: { session_id: string }) => change.session_id)).toEqual(ids.slice(2));
    expect(await get(`cursor=${cursor}`)).toMatchObject({ results: [], cursor, more: false });
  });

  test('starts at the oldest kept change when there is no cursor', async () => {
    const id = await create(restored.api);
    const { results } = await get('', restored.api);
    expect(results.map((change: { session_id: string }) => change.session_id)).toEqual([id]);
  });

  test('filtered by types leaves out other changes but advances past them', async () => {
    const cursor = await currentCursor(url);
    const id = await create();
    await api.patch(`${sessionsPath}/${id}`).send({ locale: 'de' }).expect(200);
    await api.delete(`${sessionsPath}/${id}`).expect(204);
    const end = await currentCursor(url);
    const some = await get(`cursor=${cursor}&types=deleted,created`);
    expect(some.results.map(({ type }: { type: string }) => type)).toEqual(['created', 'deleted']);
    expect((await get(`cursor=${cursor}&types=created&types=deleted`)).results).toHaveLength(2);
    expect(await get(`cursor=${cursor}&types=paid`)).toMatchObject({ results: [], cursor: end, more: false });
    expect(await get(`cursor=${cursor}&types=created,deleted&limit=1`)).toMatchObject({
      cursor: some.results[0].id,
      more: true,
    });
  });

  test.each([
    ['cursor=nonsense', '/cursor'],
    ['cursor=', '/cursor'],
    ['cursor=now&cursor=now', '/cursor'],
    [`cursor=${Buffer.from('99999999999999999.0').toString('base64url')}`, '/cursor'],
    [`cursor=${Buffer.from('1.2.3').toString('base64url')}`, '/cursor'],
    ['limit=0', '/limit'],
    ['limit=501', '/limit'],
    ['limit=1.5', '/limit'],
    ['wait=51', '/wait'],
    ['wait=-1', '/wait'],
    ['types=sold', '/types'],
    ['types=', '/types'],
    ['customer=cus_1', '/customer'],
  ])('refuses %s with a fault at its pointer', async (query, pointer) => {
    const { errors } = expectProblem(await api.get(`${path}?${query}`), 400, 'invalid-request');
    expect(errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([pointer]);
  });

  test('answers HEAD at once, even with wait', async () => {
    await api.head(`${path}?cursor=now&wait=50`).expect(200).expect('content-type', /json/);
    await api
      .head(path)
      .set('accept', 'text/event-stream')
      .expect(200)
      .expect('content-type', /event-stream/);
  });

  test('accepts a read key and refuses a request without a key', async () => {
    await secret.api.get(path).set('authorization', 'Bearer key-that-reads').expect(200);
    expectProblem(await secret.api.get(path), 401, 'unauthorized');
    expectProblem(await secret.api.get(path).set('accept', 'text/event-stream'), 401, 'unauthorized');
  });
});

describe('a long poll', () => {
  test('is answered within two seconds of a change', async () => {
    const cursor = await currentCursor(url);
    const asked = get(`cursor=${cursor}&wait=20`);
    await setTimeout(300);
    const began = Date.now();
    const id = await create();
    const { results } = await asked;
    expect(results.map((change: { session_id: string }) => change.session_id)).toEqual([id]);
    expect(Date.now() - began).toBeLessThan(2000);
  });

  test('keeps waiting until a change of its types happens', async () => {
    const cursor = await currentCursor(url);
    const asked = get(`cursor=${cursor}&wait=20&types=deleted`);
    const id = await create();
    await setTimeout(100);
    await api.delete(`${sessionsPath}/${id}`).expect(204);
    expect((await asked).results).toMatchObject([{ type: 'deleted', session_id: id }]);
  });

  test('is answered empty when its wait is over', async () => {
    const cursor = await currentCursor(url);
    const began = Date.now();
    expect(await get(`cursor=${cursor}&wait=1`)).toMatchObject({ results: [], cursor, more: false });
    expect(Date.now() - began).toBeGreaterThan(900);
  });
});

describe('a stream', () => {
  test('sends its cursor, then each change, and resumes after Last-Event-ID', async () => {
    const cursor = await currentCursor(url);
    const { response, blocks, close } = await open(`cursor=${cursor}`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    expect((await blocks.next()).value).toEqual({ retry: '1000', id: cursor });
    const first = await create();
    const { id, event, data } = (await blocks.next()).value as Required<
      Awaited<ReturnType<typeof blocks.next>>['value']
    >;
    expect([event, JSON.parse(data)]).toMatchObject(['created', { id, type: 'created', session_id: first }]);
    expectComponent('CheckoutSessionChange', JSON.parse(data));
    close();
    const second = await create();
    const again = await open(`cursor=${cursor}`, { 'last-event-id': id });
    await again.blocks.next();
    const block = (await again.blocks.next()).value as { data: string };
    expect(JSON.parse(block.data).session_id).toBe(second);
  });

  test.each([
    ['text/event-stream', true],
    ['text/event-stream, */*;q=0.1', true],
    ['application/json;q=0.5, text/event-stream', true],
    ['application/json, text/event-stream, application/problem+json', false],
    ['text/event-stream;q=0.5, application/json', false],
    ['*/*', false],
    ['', false],
  ])('for Accept: %s is opened: %s', async (accept, isStream) => {
    const { response, close } = await open('cursor=now', { accept });
    expect(response.headers.get('content-type')?.startsWith('text/event-stream')).toBe(isStream);
    close();
  });

  test('with a malformed Last-Event-ID is refused with 400', async () => {
    const response = await api.get(path).set('accept', 'text/event-stream').set('last-event-id', 'x');
    expect(expectProblem(response, 400, 'invalid-request').errors[0]).toMatchObject({ in: 'header' });
  });

  test('is counted in changes_streams, and its request duration ends at the first byte', async () => {
    const metrics = async () => (await secret.api.get('/metrics').set('authorization', 'Bearer key-that-reads')).text;
    const { blocks, close } = await open('cursor=now', { authorization: 'Bearer key-that-reads' }, secret.url);
    await blocks.next();
    expect(await metrics()).toMatch(/^changes_streams 1$/m);
    await setTimeout(1200);
    close();
    await secret.api.get(`${path}?cursor=now&wait=1`).set('authorization', 'Bearer key-that-reads').expect(200);
    await expect.poll(metrics).toMatch(/^changes_streams 0$/m);
    const text = await metrics();
    const of = (name: string) =>
      Number(
        new RegExp(
          `^http_request_duration_seconds_${name}\\{method="GET",route="/api/changes",status="200"\\} (.+)$`,
          'm',
        ).exec(text)?.[1],
      );
    expect(of('count')).toBeGreaterThanOrEqual(2);
    expect(of('sum')).toBeLessThan(1);
  });

  test('leaves no listener on a kept connection', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => void warnings.push(name);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    for (let request = 0; request < 30; request += 1) {
      socket.write(`GET ${path}?cursor=now HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
      await once(socket, 'data');
    }
    await setTimeout(20);
    // Node warns at the eleventh listener of one event.
    expect(warnings).toEqual([]);
  });

  test('stops reading the database when its client stops reading', async () => {
    const large = sessionBody({ metadata: { text: 'x'.repeat(20_000) } });
    await api.post(sessionsPath).send(large).expect(201);
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
    onTestFinished(() => void socket.destroy());
    socket.pause();
    socket.write(`GET ${path}?cursor=now HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`);
    await once(socket, 'connect');
    const before = await sent();
    const fillLarge = () => fill(database, 500, 'updated', '0 days', large.id);
    // Fill the log until the socket buffers are full and the count stands still.
    let stalled = -1;
    for (let count = before; count !== stalled; count = await sent()) {
      stalled = count;
      await fillLarge();
      await setTimeout(1000);
    }
    expect(stalled - before).toBeGreaterThan(0);
    expect(stalled - before).toBeLessThan(2000);
  }, 30_000);
});

/** Returns how many changes the metrics say were sent. */
async function sent(): Promise<number> {
  const { text } = await api.get('/metrics').expect(200);
  return [...text.matchAll(/^changes_sent_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('a cursor', () => {
  test('from another history is 410, whether it is past the end or at another change', async () => {
    await create(restored.api);
    const [row] = await restored.database.query<{ seq: number }>({
      text: 'SELECT max(seq)::int AS seq FROM checkout_session_change',
      values: [],
    });
    const { seq = 0 } = row ?? {};
    for (const [number, stamp] of [
      [seq + 1, 1_769_861_000_000_000],
      [seq + 1000, 0],
      [seq, 1_769_861_000_000_000],
    ]) {
      const cursor = Buffer.from(`${number}.${stamp}`).toString('base64url');
      const answer = await restored.api.get(`${path}?cursor=${cursor}`);
      expectProblem(answer, 410, 'cursor-expired');
      const stream = await restored.api.get(path).set('accept', 'text/event-stream').set('last-event-id', cursor);
      expectProblem(stream, 410, 'cursor-expired');
    }
  });

  test('expires with its changes, but not for a reader whose types had none', async () => {
    const store = changeStore(retained.database);
    const first = await currentCursor(retained.url);
    await fill(retained.database, 12_000, 'updated', '31 days');
    const paid = await get(`cursor=${first}&types=paid`, retained.api);
    expect(paid).toMatchObject({ results: [], more: true });
    const later = await get(`cursor=${paid.cursor}&types=paid`, retained.api);
    expect(later).toMatchObject({ results: [], more: false });
    const { blocks } = await open('types=paid', {}, retained.url);
    await blocks.next();
    await fill(retained.database, 10, 'updated');
    expect(await store.removeOld(30)).toBe(12_000);
    expect(await store.removeOld(30)).toBe(0);
    expectProblem(await retained.api.get(`${path}?cursor=${first}`), 410, 'cursor-expired');
    expectProblem(await retained.api.get(`${path}?cursor=${paid.cursor}`), 410, 'cursor-expired');
    expect((await get(`cursor=${later.cursor}`, retained.api)).results).toHaveLength(10);
    expect((await get('', retained.api)).results).toHaveLength(10);
    // The open stream's bookmark also passed the removed changes.
    await fill(retained.database, 1, 'paid');
    let block = await blocks.next();
    // Bookmarks may arrive before the change.
    while (block.value && block.value.event === undefined) block = await blocks.next();
    expect(block.value?.event).toBe('paid');
  });

  test('taken before listing all sessions loses no change while others write', async () => {
    const known = new Set<string>();
    let isOver = false;
    const writing = (async () => {
      const ids: string[] = [];
      while (!isOver) ids.push(await create());
      return ids;
    })();
    await setTimeout(200);
    const cursor = await currentCursor(url);
    const consumers = [streamConsumer(() => url, cursor), pollConsumer(() => url, cursor)];
    for (let page = `${url}${sessionsPath}?limit=20&ordering=djstripe_id`; page; ) {
      const { results, next } = (await (await fetch(page)).json()) as { results: { id: string }[]; next: string };
      for (const { id } of results) known.add(id);
      page = next;
    }
    await setTimeout(300);
    isOver = true;
    const ids = await writing;
    for (const consumer of consumers) {
      const everything = () => new Set([...known, ...consumer.received.map(({ session_id }) => session_id)]);
      await expect.poll(() => ids.filter((id) => !everything().has(id))).toEqual([]);
      await consumer.stop();
    }
  });
});

test('on Citus the feed is 501 and everything else works', async () => {
  await distributed.database.query({ text: 'CREATE TABLE pg_dist_partition (logicalrelid regclass)', values: [] });
  const text = `INSERT INTO pg_dist_partition VALUES ('checkout_session')`;
  await distributed.database.query({ text, values: [] });
  expectProblem(await distributed.api.get(path), 501, 'changes-not-supported');
  const stream = await distributed.api.get(path).set('accept', 'text/event-stream');
  expectProblem(stream, 501, 'changes-not-supported');
  expect(logged).toEqual([]);
  await create(distributed.api);
  const metrics = await distributed.api.get('/metrics').expect(200);
  expect(metrics.text).toContain('changes_horizon_lag Nan');
});

test('a filtered stream gets bookmarks while only changes of other types arrive', async () => {
  const feed = createChangeFeed(changeStore(database), undefined, { heartbeat: 400 });
  const reader = feed.enter(() => {});
  const stream = await reader.stream({ cursor: 'now', limit: 100, types: ['paid'], wait: 0 });
  const received: string[] = [];
  stream.on('data', (chunk: Buffer) => received.push(chunk.toString()));
  while (received.length < 4) {
    await fill(database, 1, 'updated');
    feed.notifyWrite();
    await setTimeout(20);
  }
  reader.leave();
  const cursors = received.map((text) => /^id: (.+)$/m.exec(text)?.[1]);
  expect(new Set(cursors).size).toBe(received.length);
  expect(received.join('')).not.toContain('event:');
});

test('a process serves 1,000 streams and refuses more until one closes', async () => {
  const feed = createChangeFeed(changeStore(database));
  const query = { cursor: 'now', limit: 100, types: undefined, wait: 0 } as const;
  const readers = Array.from({ length: 1000 }, () => feed.enter(() => {}));
  await Promise.all(readers.map((reader) => reader.stream(query)));
  expect(feed.streams()).toBe(1000);
  const late = feed.enter(() => {});
  await expect(late.stream(query)).rejects.toMatchObject({ code: 'too-many-streams', statusCode: 503 });
  readers[0]?.leave();
  await late.stream(query);
  for (const reader of [...readers, late]) reader.leave();
  expect(feed.streams()).toBe(0);
});
