import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contract } from '../support/contract.js';
import { proofRuns } from '../support/runs.js';
import { expectProblem, type Service, sessionBody, sessionsPath, startService } from '../support/service.js';

const quiet = await startService();
const busy = await startService();

const minute = (number: number) => new Date(Date.UTC(2024, 0, 1, 0, number)).toISOString();

/** 230 sessions. Many share `created` or have none; each other column has an order of its own. */
const rows = Array.from({ length: 230 }, (_, number) => ({
  id: `cs_${String((number * 97) % 230).padStart(3, '0')}`,
  created: number % 4 === 0 ? null : minute((number * 31) % 23),
  djstripe_created: minute((number * 17) % 41),
  djstripe_updated: minute(100 + ((number * 13) % 7)),
}));
for (const { database } of [quiet, busy]) {
  await database.query({
    text: `INSERT INTO checkout_session (id, created, djstripe_created, djstripe_updated,
        billing_address_collection, mode, submit_type, payment_method_types)
      SELECT id, created, djstripe_created, djstripe_updated, 'auto', 'payment', 'pay', '{"0": "card"}'
      FROM jsonb_to_recordset($1::jsonb) AS row (id text, created timestamptz, djstripe_created timestamptz,
        djstripe_updated timestamptz)`,
    values: [JSON.stringify(rows)],
  });
}

const orderings: string[] = contract.paths[sessionsPath].get.parameters.find(
  ({ name }: { name: string }) => name === 'ordering',
).schema.enum;

type Session = Record<string, unknown> & { id: string };

interface Page {
  next: string | null;
  previous: string | null;
  results: Session[];
}

const idsOf = ({ results }: Page) => results.map(({ id }) => id);

async function get(link: string): Promise<Page> {
  const response = await fetch(link);
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

/** Follows `next` from the first page to the last. */
async function walkForward({ url }: Service, query: string): Promise<Page[]> {
  const pages = [await get(`${url}${sessionsPath}?${query}`)];
  for (let next = pages[0]?.next; next; next = pages.at(-1)?.next) pages.push(await get(next));
  return pages;
}

/** Follows `previous` from a page to the first. Returns the pages before it, in order. */
async function walkBackward(last: Page): Promise<Page[]> {
  const pages = [last];
  for (let previous = last.previous; previous; previous = pages[0]?.previous ?? null) {
    pages.unshift(await get(previous));
  }
  return pages.slice(0, -1);
}

const standing = new Set(rows.map(({ id }) => id));
const serials = new Map<string, number>();
for (const page of await walkForward(quiet, 'limit=1000&ordering=id')) {
  for (const { id, djstripe_id } of page.results) serials.set(id, djstripe_id as number);
}

/** Returns the ids in an ordering: nulls last, ties by id. */
function sorted(ordering: string): string[] {
  const column = ordering.replace('-', '');
  const sign = ordering.startsWith('-') ? -1 : 1;
  const keyed = rows.map((row) => ({
    id: row.id,
    key: { ...row, djstripe_id: serials.get(row.id) as number }[column],
  }));
  return keyed
    .sort((one, other) => {
      if ((one.key === null) !== (other.key === null)) return one.key === null ? 1 : -1;
      if (one.key !== other.key) return (one.key as string) < (other.key as string) ? -sign : sign;
      return one.id < other.id ? -sign : sign;
    })
    .map(({ id }) => id);
}

describe('pages of 7 of 230 sessions give the whole order forwards and backwards with', () => {
  test.each(orderings)('ordering=%s', async (ordering) => {
    const pages = await walkForward(quiet, `limit=7&ordering=${ordering}`);
    expect(pages.flatMap(idsOf)).toEqual(sorted(ordering));
    expect(pages.map(({ results }) => results.length)).toEqual([...Array(32).fill(7), 6]);
    expect(pages[0]?.previous).toBeNull();

    const last = pages.at(-1) as Page;
    const before = await walkBackward(last);
    expect(before.map(idsOf)).toEqual(pages.slice(0, -1).map(idsOf));
    expect(before[0]?.previous).toBeNull();
  });

  test('one-row pages of a filtered list cross the border between values and nulls', async () => {
    const ids = sorted('-created').slice(165, 180);
    const query = `limit=1&id__in=${ids.join(',')}`;
    const pages = await walkForward(quiet, query);
    expect(pages.map(idsOf)).toEqual(ids.map((id) => [id]));
    expect(await walkBackward(pages.at(-1) as Page)).toEqual(
      pages.slice(0, -1).map(({ results }) => expect.objectContaining({ results })),
    );
  });
});

describe('previous and next lead back to the same page with', () => {
  test.each(['created', '-created', 'id', '-djstripe_updated'])('ordering=%s', async (ordering) => {
    const pages = await walkForward(quiet, `limit=23&ordering=${ordering}`);
    for (const [index, page] of pages.slice(1).entries()) {
      const back = await get(page.previous as string);
      expect(idsOf(back)).toEqual(idsOf(pages[index] as Page));
      expect(idsOf(await get(back.next as string))).toEqual(idsOf(page));
    }
  });
});

test('the limit may change from page to page', async () => {
  const order = sorted('-created');
  const first = await get(`${quiet.url}${sessionsPath}?limit=100`);
  const wider = new URL(first.next as string);
  wider.searchParams.set('limit', '120');
  const second = await get(wider.href);
  expect(idsOf(second)).toEqual(order.slice(100, 220));
  const narrower = new URL(second.previous as string);
  narrower.searchParams.set('limit', '3');
  expect(idsOf(await get(narrower.href))).toEqual(order.slice(97, 100));
});

test('a cursor without an ordering keeps its own', async () => {
  const { next } = await get(`${quiet.url}${sessionsPath}?ordering=id&limit=10`);
  const cursor = new URL(next as string).searchParams.get('cursor');
  const page = await get(`${quiet.url}${sessionsPath}?limit=10&cursor=${cursor}`);
  expect(idsOf(page)).toEqual(sorted('id').slice(10, 20));
});

/** Creates, patches and deletes sessions between the standing ones until stopped. */
function churn({ api }: Service): { stop: () => Promise<number> } {
  let stopped = false;
  let writes = 0;
  async function work(worker: number): Promise<void> {
    const alive: string[] = [];
    for (let turn = 0; !stopped || alive.length > 0; turn += 1) {
      // Ids sort before and after every standing one.
      const id = `cs_${String((turn * 37 + worker) % 230).padStart(3, '0')}${turn % 2 ? '~' : '!'}${worker}_${turn}`;
      const created = turn % 3 === 0 ? null : minute((turn * 5) % 25);
      if (!stopped) {
        await api.post(sessionsPath).send(sessionBody({ id, created })).expect(201);
        alive.push(id);
        const moved = alive[turn % alive.length] as string;
        await api
          .patch(`${sessionsPath}/${encodeURIComponent(moved)}`)
          .send({ created: minute(turn % 29) })
          .expect(200);
        writes += 2;
      }
      if (stopped || alive.length > 20) {
        await api.delete(`${sessionsPath}/${encodeURIComponent(alive.shift() as string)}`).expect(204);
        writes += 1;
      }
    }
  }
  const workers = Promise.all([work(0), work(1), work(2)]);
  return {
    async stop() {
      stopped = true;
      await workers;
      return writes;
    },
  };
}

describe('during writes a walk neither skips nor repeats a standing session with', () => {
  test.each(orderings)('ordering=%s', async (ordering) => {
    const writers = churn(busy);
    const standingIn = (pages: Page[]) => pages.flatMap(idsOf).filter((id) => standing.has(id));
    let pages: Page[] = [];
    let before: Page[] = [];
    try {
      pages = await walkForward(busy, `limit=7&ordering=${ordering}`);
      before = await walkBackward(pages.at(-1) as Page);
    } finally {
      expect(await writers.stop()).toBeGreaterThan(3);
    }
    expect(standingIn(pages)).toEqual(sorted(ordering));
    expect([...standingIn(before), ...standingIn(pages.slice(-1))]).toEqual(sorted(ordering));
  });

  describe.each(['deleted', 'moved'])("when the cursor's row is %s, with", (change) => {
    test.each(['-created', 'created', 'id', '-djstripe_id'])('ordering=%s', async (ordering) => {
      const id = 'cs_115!';
      const path = `${sessionsPath}/${encodeURIComponent(id)}`;
      const { created } = rows.find((row) => row.id === 'cs_115') as (typeof rows)[number];
      await busy.api.post(sessionsPath).send(sessionBody({ id, created })).expect(201);
      const place = (await walkForward(busy, `limit=1000&ordering=${ordering}`)).flatMap(idsOf).indexOf(id);
      const page = await get(`${busy.url}${sessionsPath}?ordering=${ordering}&limit=${place + 1}`);
      expect(page.results.at(-1)?.id).toBe(id);
      if (change === 'moved') await busy.api.patch(path).send({ created: '1999-01-01T00:00:00Z' }).expect(200);
      else await busy.api.delete(path).expect(204);

      const narrower = new URL(page.next as string);
      narrower.searchParams.set('limit', '50');
      const rest = [await get(narrower.href)];
      for (let next = rest[0]?.next; next; next = rest.at(-1)?.next) rest.push(await get(next));
      await busy.api.delete(path);
      expect([page, ...rest].flatMap(idsOf).filter((one) => standing.has(one))).toEqual(sorted(ordering));
    });
  });

  test('a page whose sessions were all deleted still links to the previous page', async () => {
    const ids = ['zz_1', 'zz_2', 'zz_3', 'zz_4'];
    for (const id of ids) await busy.api.post(sessionsPath).send(sessionBody({ id })).expect(201);
    const page = await get(`${busy.url}${sessionsPath}?ordering=id&limit=2&id__startswith=zz_`);
    for (const id of ids.slice(2)) await busy.api.delete(`${sessionsPath}/${id}`).expect(204);
    const gone = await get(page.next as string);
    expect(gone).toMatchObject({ results: [], next: null });
    expect(idsOf(await get(gone.previous as string))).toContain('zz_1');
    for (const id of ids.slice(0, 2)) await busy.api.delete(`${sessionsPath}/${id}`).expect(204);
  });
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function cursorOf(ordering: string): Promise<string> {
  const { next } = await get(`${quiet.url}${sessionsPath}?limit=7&ordering=${ordering}`);
  return new URL(next as string).searchParams.get('cursor') as string;
}

async function expectRefused(cursor: string, more = ''): Promise<void> {
  const response = await quiet.api.get(`${sessionsPath}?cursor=${encodeURIComponent(cursor)}${more}`);
  const { errors } = expectProblem(response, 400, 'invalid-request');
  expect(errors).toMatchObject([{ in: 'query', pointer: '/cursor' }]);
}

describe('an invalid cursor is refused:', () => {
  test.each([
    ...['', ' ', 'abc', '0', 'null', '-created', 'cs_001', 'eyJ9', '[]', '😀', 'a'.repeat(500)],
    ...[encoded(null), encoded([]), encoded({}), encoded('cursor'), encoded(7), encoded([null, null, null, null])],
  ])('%s', async (cursor) => {
    await expectRefused(cursor);
  });

  test.each(orderings)('a truncated cursor of ordering=%s', async (ordering) => {
    const cursor = await cursorOf(ordering);
    await Promise.all(Array.from({ length: cursor.length }, (_, length) => expectRefused(cursor.slice(0, length))));
  });

  test('a cursor with characters before or after it', async () => {
    const cursor = await cursorOf('-created');
    for (const other of [`${cursor}!`, `!${cursor}`, `${cursor}AAAA`, `${cursor}${cursor}`]) await expectRefused(other);
  });

  test.each(orderings)('a cursor of ordering=%s used with another ordering', async (ordering) => {
    const cursor = await cursorOf(ordering);
    for (const other of orderings.filter((name) => name !== ordering)) {
      await expectRefused(cursor, `&ordering=${other}`);
    }
    // Without `ordering` the default is -created, but the cursor's own ordering wins.
    await quiet.api.get(`${sessionsPath}?cursor=${cursor}&ordering=${ordering}`).expect(200);
  });

  const time = '2024-01-01T00:05:00+00:00';
  test.each([
    ['an unknown ordering', ['customer', 'after', 'cus_1', 'cs_001']],
    ['SQL as the ordering', ['id; DROP TABLE checkout_session', 'after', 'cs_001', 'cs_001']],
    ['no ordering', [null, 'after', time, 'cs_001']],
    ['two signs', ['--created', 'after', time, 'cs_001']],
    ['an unknown side', ['-created', 'beside', time, 'cs_001']],
    ['no side', ['-created', null, time, 'cs_001']],
    ['a number for an id', ['-created', 'after', time, 1]],
    ['no id', ['-created', 'after', time, null]],
    ['U+0000 in the id', ['-created', 'after', time, 'cs_\0']],
    ['a lone surrogate in the id', ['-created', 'after', time, 'cs_\ud800']],
    ['a number for a time', ['-created', 'after', 1704067500, 'cs_001']],
    ['a text for a time', ['-created', 'after', 'yesterday', 'cs_001']],
    ['a nonexistent day', ['-created', 'after', '2024-02-30T00:00:00Z', 'cs_001']],
    ['a boolean for a time', ['created', 'after', true, 'cs_001']],
    ['an object for a time', ['created', 'after', { $gt: '' }, 'cs_001']],
    ['null for a time that is never null', ['djstripe_created', 'after', null, 'cs_001']],
    ['null for djstripe_updated', ['-djstripe_updated', 'before', null, 'cs_001']],
    ['null for the id to order by', ['id', 'after', null, 'cs_001']],
    ['a number for an id to order by', ['id', 'after', 5, 'cs_001']],
    ['U+0000 in the id to order by', ['id', 'after', '\0', 'cs_001']],
    ['a text for a number', ['djstripe_id', 'after', '5', 'cs_001']],
    ['a fraction for a number', ['djstripe_id', 'after', 1.5, 'cs_001']],
    ['a number beyond bigint', ['djstripe_id', 'after', 1e30, 'cs_001']],
    ['null for a number', ['djstripe_id', 'after', null, 'cs_001']],
    ['too few parts', ['-created', 'after', time]],
    ['too many parts', ['-created', 'after', time, 'cs_001', 'cs_002']],
  ])('a cursor with %s', async (_, parts) => {
    await expectRefused(encoded(parts));
  });

  test('a faulty cursor is reported together with other faulty parameters', async () => {
    const response = await quiet.api.get(`${sessionsPath}?cursor=abc&limit=0&ordering=foo`);
    const { errors } = expectProblem(response, 400, 'invalid-request');
    const pointers = errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers.sort()).toEqual(['/cursor', '/limit', '/ordering']);
  });
});

/** Expects a page or a 400, never a 5xx. */
async function expectAnswered(cursor: string): Promise<void> {
  const response = await quiet.api.get(`${sessionsPath}?limit=1&cursor=${encodeURIComponent(cursor)}`);
  if (response.status === 200) expect(response.body.results.length).toBeLessThanOrEqual(1);
  else expectProblem(response, 400, 'invalid-request');
}

describe('a cursor never makes the service fail:', () => {
  test('random text', async () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.base64String(), fc.string({ unit: 'binary' }));
    await fc.assert(
      fc.asyncProperty(text, (cursor) => expectAnswered(cursor.toWellFormed())),
      { numRuns: proofRuns(30) },
    );
  });

  test("random JSON in a cursor's encoding", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), (value) => expectAnswered(encoded(value))),
      { numRuns: proofRuns(30) },
    );
  });

  test('random values in the places of a cursor', async () => {
    const number = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, '0'));
    const year = fc.constantFrom('0000', '0001', '1969', '2024', '9999');
    const zone = fc.oneof(
      fc.constantFrom('Z', 'z', ''),
      fc
        .tuple(fc.constantFrom('+', '-'), number(24), number(60))
        .map(([sign, hour, minutes]) => `${sign}${hour}:${minutes}`),
    );
    const fraction = fc.constantFrom('', '.5', '.123456', '.999999999999');
    const time = fc
      .tuple(year, number(13), number(32), number(24), number(60), number(60), fraction, zone)
      .map(([y, mo, d, h, mi, s, f, z]) => `${y}-${mo}-${d}T${h}:${mi}:${s}${f}${z}`);
    const value = fc.oneof(
      time,
      fc.constantFrom(null, '2024-01-01', '', 'infinity'),
      fc.string({ unit: 'grapheme' }),
      fc.maxSafeInteger(),
      fc.double(),
    );
    const parts = fc.tuple(
      fc.constantFrom(...orderings),
      fc.constantFrom('after', 'before'),
      value,
      fc.oneof(fc.constantFrom('cs_001', '', '.', '\uffff'), fc.string({ unit: 'binary' })),
    );
    await fc.assert(
      fc.asyncProperty(parts, (all) => expectAnswered(encoded(all))),
      { numRuns: proofRuns(60) },
    );
  });

  test.each([
    '2024-01-01T00:00:00+23:59',
    '2024-01-01T00:00:00-16:00',
    '0000-12-31T23:59:00-00:01',
    '9999-12-31T23:59:59.999999999Z',
    '2016-12-31T23:59:60Z',
    '0001-01-01',
  ])('the time %s', async (time) => {
    for (const ordering of ['created', '-created', 'djstripe_created', '-djstripe_updated']) {
      for (const side of ['after', 'before']) await expectAnswered(encoded([ordering, side, time, 'cs_001']));
    }
  });
});
