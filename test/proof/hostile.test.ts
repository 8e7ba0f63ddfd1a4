import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { expectSession } from '../support/contract.js';
import { startProcess } from '../support/process.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { commandDatabase } from '../support/stripe-api.js';
import { exchange, open, received, request } from './hostile/wire.js';

/** What no client library sends. Bodies and paths that one could send are in sessions/bad-input.test.ts. */

const service = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const { api, url } = service;
const processDatabase = await commandDatabase();

const json = 'Content-Type: application/json';
const isRefusal = (status: number) => status >= 400 && status < 500;

/** A whole good request, to be hidden in another one. */
function smuggled(): { id: string; text: string } {
  const body = JSON.stringify(sessionBody());
  const { id } = JSON.parse(body);
  return {
    id,
    text: request('POST', sessionsPath, [json, `Content-Length: ${body.length}`, 'Connection: close'], body),
  };
}

describe('a request whose end is in doubt is refused, and nothing of it is taken for another request', () => {
  const chunked = 'Transfer-Encoding: chunked';
  test.each<[string, string[], string]>([
    ['a length and chunks', ['Content-Length: 5', chunked], '0\r\n\r\n'],
    ['chunks and a length', [chunked, 'Content-Length: 5'], '0\r\n\r\n'],
    ['two lengths', ['Content-Length: 2', 'Content-Length: 200'], '{}'],
    ['the same length twice', ['Content-Length: 2', 'Content-Length: 2'], '{}'],
    ['a list of lengths', ['Content-Length: 2, 200'], '{}'],
    ['a signed length', ['Content-Length: +2'], '{}'],
    ['a negative length', ['Content-Length: -2'], '{}'],
    ['a hexadecimal length', ['Content-Length: 0x2'], '{}'],
    ['a length with a space in it', ['Content-Length: 2 2'], '{}'],
    ['a length past 64 bits', ['Content-Length: 18446744073709551618'], '{}'],
    ['an empty length', ['Content-Length:'], '{}'],
    ['a space before the colon', ['Content-Length : 2'], '{}'],
    ['a name that is folded', ['Content-Length', ' : 2'], '{}'],
    ['a value that is folded', ['X-A: b', ' Content-Length: 2', chunked], '0\r\n\r\n'],
    ['an unknown coding', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
    ['a coding after chunked', ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'],
    ['chunked with a tab before it and a length', ['Transfer-Encoding:\tchunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a vertical tab before chunked', ['Transfer-Encoding: \x0bchunked'], '0\r\n\r\n'],
    ['a chunk past 64 bits', [chunked], 'FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n'],
    ['a negative chunk', [chunked], '-2\r\n{}\r\n0\r\n\r\n'],
    ['a chunk with 0x', [chunked], '0x2\r\n{}\r\n0\r\n\r\n'],
    ['a chunk without a size', [chunked], '\r\n{}\r\n0\r\n\r\n'],
    ['a chunk that is longer than it says', [chunked], '1\r\n{}\r\n0\r\n\r\n'],
    ['a chunk that ends with LF alone', [chunked], '2\n{}\n0\n\n'],
    ['an extension without an end', [chunked], `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`],
    ['a CR alone in a header', ['X-A: b\rContent-Length: 2'], '{}'],
    ['a NUL in a header', ['X-A: b\0', 'Content-Length: 2'], '{}'],
    ['a name with a space', ['X A: b', 'Content-Length: 2'], '{}'],
    ['a line without a colon', ['nonsense', 'Content-Length: 2'], '{}'],
  ])('%s', async (_, headers, body) => {
    const { id, text } = smuggled();
    const { statuses } = await exchange(url, `${request('POST', sessionsPath, [json, ...headers], body)}${text}`);
    expect(statuses.length).toBeGreaterThan(0);
    expect(statuses.filter((status) => !isRefusal(status))).toEqual([]);
    await api.get(`${sessionsPath}/${id}`).expect(404);
  });

  test('lines that end with LF alone', async () => {
    const { id, text } = smuggled();
    const { statuses } = await exchange(url, text.replaceAll('\r\n', '\n'));
    expect(statuses.filter((status) => !isRefusal(status))).toEqual([]);
    await api.get(`${sessionsPath}/${id}`).expect(404);
  });
});

describe('what is no request is refused', () => {
  test.each<[string, string]>([
    ['no version', `GET ${sessionsPath}\r\n\r\n`],
    ['another version', `GET ${sessionsPath} HTTP/9.9\r\nHost: localhost\r\n\r\n`],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['no method', ` ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['a method in lower case', `get ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['no host', `GET ${sessionsPath} HTTP/1.1\r\n\r\n`],
    ['two hosts', `GET ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nHost: example.com\r\n\r\n`],
    ['the URL of another host', `GET http://example.com${sessionsPath} HTTP/1.1\r\nHost: example.com\r\n\r\n`],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'],
    ['an expectation that nobody meets', request('GET', sessionsPath, ['Expect: the-unexpected'])],
    ['a URL of 100 KB', request('GET', `${sessionsPath}?customer=${'x'.repeat(100_000)}`, [])],
    [
      '5,000 headers',
      request(
        'GET',
        sessionsPath,
        Array.from({ length: 5000 }, (_, index) => `X-${index}: y`),
      ),
    ],
    ['one header of 100 KB', request('GET', sessionsPath, [`X-A: ${'y'.repeat(100_000)}`])],
    ['a header that never ends', `GET ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nX-A: ${'y'.repeat(200_000)}`],
  ])('%s', async (_, text) => {
    const { statuses } = await exchange(url, text);
    expect(statuses.filter((status) => !isRefusal(status))).toEqual([]);
    await api.get(`${sessionsPath}?limit=1`).expect(200);
  });

  test('of what HTTP allows nothing is refused: chunk extensions, trailers, requests one behind the other', async () => {
    const { id, text } = smuggled();
    const body = JSON.stringify(sessionBody());
    const size = body.length.toString(16);
    const chunks = `${size};name="value"\r\n${body}\r\n0;last\r\nX-Trailer: y\r\n\r\n`;
    const first = request('POST', sessionsPath, [json, 'Transfer-Encoding: chunked'], chunks);
    const { statuses } = await exchange(url, `${first}${request('GET', '/health/live', [])}${text}`);
    expect(statuses).toEqual([201, 200, 201]);
    await api.get(`${sessionsPath}/${id}`).expect(200);
  });
});

describe('connections that do not keep to the order of things', () => {
  test('many that send a byte now and then are all served, and nobody waits for them', async () => {
    let finish = () => {};
    const othersAreServed = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const slow = Array.from({ length: 40 }, async () => {
      const { id, text } = smuggled();
      const socket = open(url);
      const answer = received(socket);
      const [head = '', body = ''] = text.split(/(?<=\r\n\r\n)/);
      socket.write(head);
      for (let at = 0; at < body.length; at += 16) {
        if (at + 16 >= body.length) await othersAreServed;
        socket.write(body.slice(at, at + 16));
        await setTimeout(30);
      }
      expect((await answer).statuses).toEqual([201]);
      return id;
    });
    for (let count = 0; count < 5; count += 1) await api.get(`${sessionsPath}?limit=1`).expect(200);
    finish();
    for (const id of await Promise.all(slow)) await api.get(`${sessionsPath}/${id}`).expect(200);
  });

  test('who has sent all and closes their half has written all of it or nothing, and holds no connection', async () => {
    const { id, text } = smuggled();
    const socket = open(url);
    const answer = received(socket);
    socket.end(text);
    // Node takes the end of one half for the end of both: the answer may no longer be sent.
    expect([[], [201]]).toContainEqual((await answer).statuses);
    const { body, status } = await api.get(`${sessionsPath}/${id}`);
    expect([200, 404]).toContain(status);
    if (status === 200) expectSession(body);
  });

  test.each<[string, 'end' | 'resetAndDestroy']>([
    ['closes', 'end'],
    ['resets', 'resetAndDestroy'],
  ])('who %s the connection in the middle of a body has changed nothing', async (_, how) => {
    for (const share of [0.3, 0.6, 0.95]) {
      const { id, text } = smuggled();
      const socket = open(url);
      const answer = received(socket);
      const part = text.slice(0, text.length * share);
      await new Promise((resolve) => socket.write(part, resolve));
      await setTimeout(20);
      socket[how]();
      expect((await answer).statuses.filter((status) => !isRefusal(status))).toEqual([]);
      await api.get(`${sessionsPath}/${id}`).expect(404);
    }
  });
});

describe('headers that are long lists', () => {
  const many = '"0-0",'.repeat(2400);
  test.each<[string, string, number]>([
    ['of tags', `${many}"0-1"`, 412],
    ['of tags and then none', `${many}x`, 400],
    ['of nothing', `"0-0"${' ,'.repeat(7000)}x`, 400],
    ['of spaces', `"0-0"${' '.repeat(14_000)}x`, 400],
    ['of quotes', '"'.repeat(14_001), 400],
  ])('%s', async (_, value, status) => {
    const { id } = (await api.post(sessionsPath).send(sessionBody()).expect(201)).body;
    const began = Date.now();
    await api.delete(`${sessionsPath}/${id}`).set('if-match', value).expect(status);
    expect(Date.now() - began).toBeLessThan(1000);
  });
});

test('of a property that is given twice the last one counts, in all that is checked and stored', async () => {
  const body = JSON.stringify(sessionBody()).slice(0, -1);
  const { id } = JSON.parse(`${body}}`);
  const send = (tail: string) =>
    api.post(sessionsPath).set('content-type', 'application/json').send(`${body},${tail}}`);
  const first = await send(
    '"mode":"gift","mode":"setup","metadata":{"a":1,"a":"2"},"customer":7,"customer":"cus_1"',
  ).expect(201);
  expect(first.body).toMatchObject({ id, mode: 'setup', metadata: { a: '2' }, customer: 'cus_1' });
  await send('"mode":"setup","mode":"gift"').expect(400);
  await api
    .put(`${sessionsPath}/${id}`)
    .set('content-type', 'application/json')
    .send(`${body},"id":"another"}`)
    .expect(400);
});

describe('events that are signed and yet none', () => {
  test.each<[string, Record<string, unknown>]>([
    ['of a second that no database has', { created: 9_007_199_254_740_991 }],
    ['of a year that RFC 3339 cannot write', { created: 253_402_300_800 }],
    ['from before time', { created: -1 }],
    ['of a part of a second', { created: 1.5 }],
    ['with a list in place of the object', { data: [] }],
    ['with no text as its id', { id: 'evt_\u0000' }],
    ['with half of a surrogate pair as its type', { type: 'checkout.session.\ud800' }],
    ['of an account that is a list', { account: [] }],
  ])('%s: ignored, so that Stripe does not repeat it for days', async (_, fields) => {
    const session = rawSession({ id: sessionBody().id });
    const { body } = await deliver(api, { ...rawEvent(session), ...fields }).expect(200);
    expect(body).toEqual({ outcome: 'ignored' });
    await api.get(`${sessionsPath}/${session.id}`).expect(404);
  });
});

/** Sends each of some requests thirty times, and expects that all are refused. */
async function attack(target: string, requests: readonly string[]): Promise<void> {
  for (let round = 0; round < 30; round += 1) {
    await Promise.all(
      requests.map(async (text) => {
        const socket = open(target);
        const answer = received(socket);
        socket.end(text);
        expect((await answer).statuses.filter((status) => !isRefusal(status))).toEqual([]);
      }),
    );
  }
}

test('refused requests leave nothing behind: the memory of a process levels off', async () => {
  const attacked = await startProcess(processDatabase.environment);
  const resident = async () =>
    Number(/^process_resident_memory_bytes (\d+)/m.exec(await (await fetch(`${attacked.url}/metrics`)).text())?.[1]);
  const garbage = `{"metadata":{"a":"${'x'.repeat(100_000)}`;
  const chunk = `${garbage.length.toString(16)}\r\n${garbage}`;
  const requests = [
    request('POST', sessionsPath, [json, `Content-Length: ${garbage.length + 2}`], `${garbage}"]`),
    request('POST', sessionsPath, [json, 'Transfer-Encoding: chunked'], chunk),
    request('GET', sessionsPath, [`X-A: ${'y'.repeat(100_000)}`]),
    request('GET', `${sessionsPath}?customer__typo=${'y'.repeat(8000)}`, []),
  ];
  /** Attacks eight times; returns the highest memory that an attack left. */
  const highest = async () => {
    const samples: number[] = [];
    for (let count = 0; count < 8; count += 1) {
      await attack(attacked.url, requests);
      samples.push(await resident());
    }
    return Math.max(...samples);
  };
  // A process grows while it warms up, by an amount that depends on the version of Node. A leak never stops: one that
  // keeps every body of either kind holds 24 MB more after each eight attacks.
  let before = await highest();
  const growth: number[] = [];
  do {
    const after = await highest();
    growth.push(after - before);
    before = after;
  } while ((growth.at(-1) ?? 0) > 8e6 && growth.length < 6);
  expect(growth.at(-1), `growth in bytes: ${growth}`).toBeLessThanOrEqual(8e6);
  expect((await fetch(`${attacked.url}${sessionsPath}?limit=1`)).status).toBe(200);
});
