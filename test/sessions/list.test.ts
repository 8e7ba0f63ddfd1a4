import { get } from 'node:http';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { contract, expectComponent, expectSession } from '../support/contract.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';

const { api, url, database } = await startService();

interface Row {
  id: string;
  created: string | null;
  djstripe_created: string;
  djstripe_updated: string;
  customer: string;
}

const idsIn = (page: { results: Row[] }) => page.results.map(({ id }) => id);

const minute = (number: number) => new Date(Date.UTC(2024, 0, 1, 0, number)).toISOString();

// Byte order of these ids differs from alphabetical and UTF-16 order. Column values repeat in many rows.
const idBeginnings = ['cs_test_', 'CS_', 'cs-', 'cs_é', 'cs_\uff5e', 'cs_😀', '~', '0'];
const rows: Row[] = Array.from({ length: 1010 }, (_, number) => ({
  id: `${idBeginnings[number % idBeginnings.length]}${(number * 7919) % 1010}`,
  created: number % 5 === 0 ? null : minute((number * 31) % 97),
  djstripe_created: minute((number * 17) % 211),
  djstripe_updated: minute(1000 + ((number * 13) % 89)),
  customer: number % 3 === 0 ? 'cus_third' : 'cus_other',
}));
await database.query({
  text: `INSERT INTO checkout_session (id, created, djstripe_created, djstripe_updated, customer,
      billing_address_collection, mode, submit_type, payment_method_types)
    SELECT id, created, djstripe_created, djstripe_updated, customer, 'auto', 'payment', 'pay', '{"0": "card"}'
    FROM jsonb_to_recordset($1::jsonb) AS row (id text, created timestamptz, djstripe_created timestamptz,
      djstripe_updated timestamptz, customer text)`,
  values: [JSON.stringify(rows)],
});
const serials = new Map(
  (
    await database.query<{ id: string; serial: number }>({
      text: 'SELECT id, djstripe_id::int AS serial FROM checkout_session',
      values: [],
    })
  ).map(({ id, serial }) => [id, serial]),
);

const orderings: string[] = contract.paths[sessionsPath].get.parameters.find(
  ({ name }: { name: string }) => name === 'ordering',
).schema.enum;

const orderedBy = (row: Row, column: string) =>
  column === 'djstripe_id' ? (serials.get(row.id) as number) : row[column as keyof Row];

/** Returns the ids in an ordering: nulls last, ties by the bytes of the id. */
function sorted(ordering: string, among = rows): string[] {
  const column = ordering.replace('-', '');
  const sign = ordering.startsWith('-') ? -1 : 1;
  const compare = (one: Row, other: Row) => {
    const [left, right] = [orderedBy(one, column), orderedBy(other, column)];
    if ((left === null) !== (right === null)) return left === null ? 1 : -1;
    if (column !== 'id' && left !== null && right !== null && left !== right) return left < right ? -sign : sign;
    return sign * Buffer.compare(Buffer.from(one.id), Buffer.from(other.id));
  };
  return [...among].sort(compare).map(({ id }) => id);
}

interface Page {
  count: number | null;
  next: string | null;
  previous: string | null;
  results: { id: string }[];
}

const idsOf = ({ results }: Page) => results.map(({ id }) => id);

/** Requests a URL from an answer unchanged. */
async function follow(link: string | null): Promise<Page> {
  const response = await fetch(link as string);
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

test('a page is an envelope of complete sessions', async () => {
  const { body, headers } = await api.get(`${sessionsPath}?limit=20`).expect(200);
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(Object.keys(body)).toEqual(['count', 'next', 'previous', 'results']);
  expectComponent('PaginatedDjStripeCheckoutSessionList', body);
  expect(body.results).toHaveLength(20);
  for (const session of body.results) expectSession(session);
});

test('a session in a list equals the session alone', async () => {
  const id = encodeURIComponent((rows[5] as Row).id);
  const alone = await api.get(`${sessionsPath}/${id}`).expect(200);
  const { body } = await api.get(`${sessionsPath}?id=${id}`).expect(200);
  expect(body.results).toEqual([alone.body]);
});

test('the default list is the first 50 by -created, without a count', async () => {
  const { body } = await api.get(sessionsPath).expect(200);
  expect(idsOf(body)).toEqual(sorted('-created').slice(0, 50));
  expect(body).toMatchObject({ count: null, previous: null, next: expect.any(String) });
});

test.each([1, 2, 999, 1000])('limit=%i sets the length of a page', async (limit) => {
  const { body } = await api.get(`${sessionsPath}?limit=${limit}`).expect(200);
  expect(idsOf(body)).toEqual(sorted('-created').slice(0, limit));
  expect(body.next).not.toBeNull();
});

test('the page with the last session has no next link', async () => {
  const third = rows.filter(({ customer }) => customer === 'cus_third');
  const exactly = await api.get(`${sessionsPath}?customer=cus_third&limit=${third.length}`).expect(200);
  expect(exactly.body.results).toHaveLength(third.length);
  expect(exactly.body.next).toBeNull();
  const short = await api.get(`${sessionsPath}?customer=cus_third&limit=${third.length - 1}`).expect(200);
  expect(short.body.next).not.toBeNull();
});

test('the contract publishes five orderings in both directions', () => {
  const columns = ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'];
  expect([...orderings].sort()).toEqual(columns.flatMap((name) => [name, `-${name}`]).sort());
});

test.each(orderings)('ordering=%s sorts by it, ties by id, nulls last', async (ordering) => {
  const { body } = await api.get(`${sessionsPath}?limit=1000&ordering=${ordering}`).expect(200);
  const rest = await follow(body.next);
  expect([...idsOf(body), ...idsOf(rest)]).toEqual(sorted(ordering));
});

test.each(orderings)('ordering=%s sorts a filtered list', async (ordering) => {
  const { body } = await api.get(`${sessionsPath}?limit=1000&customer=cus_third&ordering=${ordering}`).expect(200);
  const third = rows.filter(({ customer }) => customer === 'cus_third');
  expect(idsOf(body)).toEqual(sorted(ordering, third));
});

test('count=exact counts every match on every page', async () => {
  const all = await api.get(`${sessionsPath}?count=exact&limit=3`).expect(200);
  expect(all.body.count).toBe(1010);
  const { body } = await api.get(`${sessionsPath}?count=exact&limit=3&customer=cus_third`).expect(200);
  expect(body.count).toBe(337);
  expect((await follow(body.next)).count).toBe(337);
  const none = await api.get(`${sessionsPath}?count=exact&customer=cus_nobody`).expect(200);
  expect(none.body).toEqual({ count: 0, next: null, previous: null, results: [] });
});

test('count=estimated is a rough number', async () => {
  for (const filter of ['', '&customer=cus_third', '&customer=cus_nobody', '&metadata[a]=1', '&mode__in=payment']) {
    const { body } = await api.get(`${sessionsPath}?count=estimated&limit=3${filter}`).expect(200);
    expect(body.count).toSatisfy((count) => Number.isInteger(count) && (count as number) >= 0);
  }
});

test('concurrent lists of one shape each get the answer for their own values', async () => {
  const customers = ['cus_third', 'cus_other', 'cus_nobody', 'cus_third', "cus_'; --", 'cus_\\u0024\n', 'cus_other'];
  const alone = new Map<string, string[]>();
  for (const customer of new Set(customers)) {
    const { body } = await api.get(sessionsPath).query({ customer, limit: 600, ordering: 'created' }).expect(200);
    alone.set(customer, idsIn(body));
  }
  expect([...alone.values()].map(({ length }) => length)).toEqual([337, 600, 0, 0, 0]);
  // Enough rounds for a prepared statement and then a batch.
  for (let round = 1; round <= 6; round += 1) {
    const bodies = await Promise.all(
      customers.map(async (customer) => {
        const { body } = await api.get(sessionsPath).query({ customer, limit: 600, ordering: 'created' }).expect(200);
        return idsIn(body);
      }),
    );
    expect(bodies).toEqual(customers.map((customer) => alone.get(customer)));
  }
});

test('next and previous are absolute URLs that work unchanged', async () => {
  const { body: first } = await api.get(`${sessionsPath}?limit=10`).expect(200);
  expect(first.next.startsWith(`${url}${sessionsPath}?`)).toBe(true);
  const second = await follow(first.next);
  expect(idsOf(second)).toEqual(sorted('-created').slice(10, 20));
  expect(second.previous?.startsWith(`${url}${sessionsPath}?`)).toBe(true);
  expect(await follow(second.previous)).toMatchObject({ results: first.results, previous: null });
});

test('next and previous use the host of the request', async () => {
  const { port } = new URL(url);
  const { body } = await api.get(`${sessionsPath}?limit=1`).set('Host', `localhost:${port}`).expect(200);
  expect(new URL(body.next).origin).toBe(`http://localhost:${port}`);
});

test('next and previous keep every other parameter', async () => {
  const asked = new URLSearchParams([
    ['limit', '2'],
    ['ordering', '-id'],
    ['count', 'exact'],
    ['mode__in', 'payment'],
    ['customer__in', 'cus_third'],
    ['customer__in', 'a,b & c=d+e #%\\"é'],
    ['metadata[a b&"c]', '50% ü+'],
    ['created__isnull', 'false'],
  ]);
  const wanted = ['cs_kept_1', 'cs_kept_2', 'cs_kept_3', 'cs_kept_4', 'cs_kept_5'];
  for (const id of wanted) {
    const fields = { id, customer: 'cus_third', created: minute(5), metadata: { 'a b&"c': '50% ü+' } };
    await api.post(sessionsPath).send(sessionBody(fields)).expect(201);
  }
  try {
    const others = (link: string | null) =>
      [...new URL(link as string).searchParams].filter(([name]) => name !== 'cursor');
    const first = await follow(`${url}${sessionsPath}?${asked}`);
    expect(others(first.next)).toEqual([...asked]);
    const second = await follow(first.next);
    expect(others(second.next)).toEqual([...asked]);
    expect(others(second.previous)).toEqual([...asked]);
    expect(new URL(second.next as string).searchParams.getAll('cursor')).toHaveLength(1);
    const third = await follow(second.next);
    expect([first, second, third].flatMap(idsOf)).toEqual([...wanted].reverse());
    expect([first, second, third].map(({ count }) => count)).toEqual([5, 5, 5]);
    expect(third.next).toBeNull();
  } finally {
    for (const id of wanted) await api.delete(`${sessionsPath}/${id}`).expect(204);
  }
});

test.each(['https://api.example.com/mirror', 'https://api.example.com/mirror/'])(
  'PUBLIC_URL %s is the base of next and previous',
  async (publicUrl) => {
    const behindProxy = await startService({ environment: { PUBLIC_URL: publicUrl }, database });
    const { body: first } = await behindProxy.api.get(`${sessionsPath}?limit=4`).expect(200);
    const base = 'https://api.example.com/mirror';
    expect(first.next.startsWith(`${base}${sessionsPath}?`)).toBe(true);
    const { body: second } = await behindProxy.api.get(first.next.slice(base.length)).expect(200);
    expect(idsOf(second)).toEqual(sorted('-created').slice(4, 8));
    expect(second.previous.startsWith(`${base}${sessionsPath}?`)).toBe(true);
  },
);

// RFC 9112, section 3.2.2.
test('an absolute request target is accepted, and its next link works', async () => {
  const page = await new Promise<Page>((resolve, reject) => {
    const path = `${url}${sessionsPath}?limit=3`;
    get(url, { path }, (response) => resolve(json(response) as Promise<Page>)).on('error', reject);
  });
  expect(page.next?.startsWith(`${url}${sessionsPath}?`)).toBe(true);
  expect(idsOf(await follow(page.next))).toEqual(sorted('-created').slice(3, 6));
});

test('a trailing slash is accepted, and its next link works', async () => {
  const { body } = await api.get(`${sessionsPath}/?limit=3`).expect(200);
  expect(idsOf(body)).toEqual(sorted('-created').slice(0, 3));
  expect(idsOf(await follow(body.next))).toEqual(sorted('-created').slice(3, 6));
  const bare = await api.get(`${sessionsPath}/`).expect(200);
  expect(bare.body.results).toHaveLength(50);
});

test('a list must be revalidated by caches', async () => {
  await api.get(sessionsPath).expect(200).expect('cache-control', 'private, no-cache');
  await api.get(`${sessionsPath}?limit=0`).expect(400).expect('cache-control', 'private, no-cache');
});

test('a list without sessions is empty', async () => {
  const empty = await startService();
  const { body } = await empty.api.get(sessionsPath).expect(200);
  expect(body).toEqual({ count: null, next: null, previous: null, results: [] });
  const counted = await empty.api.get(`${sessionsPath}?count=exact&ordering=id&limit=1000`).expect(200);
  expect(counted.body).toEqual({ count: 0, next: null, previous: null, results: [] });
  const estimated = await empty.api.get(`${sessionsPath}?count=estimated`).expect(200);
  expect(estimated.body.count).toEqual(expect.any(Number));
});
