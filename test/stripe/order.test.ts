import fc from 'fast-check';
import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { columns } from '../../src/model/session.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { testDatabase } from '../support/database.js';
import { proofRuns } from '../support/runs.js';

/** Checks that a session's row depends only on the set of Stripe's states, not on their order or repetition. */

const database = await testDatabase();
const log = pino({ level: 'silent' });
const ingest = createIngest(mirrorStore(database), { STRIPE_LIVEMODE: 'both' }, log);
const sessions = sessionStore(database);
const id = 'cs_test_order';
const noPreconditions = { match: undefined, noneMatch: undefined };

const query = <Row>(text: string) => database.query<Row>({ text, values: [] });

beforeEach(clear);

async function clear(): Promise<void> {
  for (const table of ['checkout_session', 'stripe_event']) await query(`DELETE FROM ${table}`);
}

/** Returns every column except those that record when and how often the row was written, and the ledger. */
async function stored() {
  const [row] = await query<{ session: Record<string, unknown> }>(
    `SELECT to_jsonb(s) - '{djstripe_id,version,document,djstripe_created,djstripe_updated}'::text[] AS session
      FROM checkout_session AS s WHERE version <> 0`,
  );
  const events = await query(
    'SELECT id, type, account, livemode, api_version, created::text FROM stripe_event ORDER BY id',
  );
  return { session: row?.session, events };
}

async function tagOf(): Promise<string | undefined> {
  return (await sessions.find(id))?.etag;
}

/** A state from Stripe: an event in an API version, or a snapshot. */
interface State {
  readonly event?: string;
  readonly version: string | null;
  readonly second: number;
  readonly account?: string;
  readonly fields: Record<string, unknown>;
}

const type = (event: string) => `checkout.session.${event === 'evt_c' ? 'async_payment_failed' : 'completed'}`;

async function take({ event, version, second, account, fields }: State): Promise<string> {
  const object = { id, object: 'checkout.session', ...fields };
  const envelope = { api_version: version, created: second, ...(account !== undefined && { account }) };
  const { outcome } =
    event === undefined
      ? await ingest.snapshot({ object, second, account, apiVersion: version ?? undefined })
      : await ingest.event({ id: event, type: type(event), data: { object }, ...envelope });
  return outcome;
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

/** Builds the optional fields of Stripe's object, each with a value of its own state. */
function fieldsOf(has: Record<string, boolean>, status: string | undefined, paid: boolean, mark: string) {
  const optional: Record<string, unknown> = {
    display_items: [{ custom: mark }],
    line_items: { data: [{ id: `li_${mark}` }], has_more: false },
    created: 1_700_000_000 + mark.charCodeAt(0),
    mode: 'subscription',
    subscription: `sub_${mark}`,
    submit_type: mark < 'b' ? 'pay' : 'donate',
    locale: mark,
    metadata: { mark },
    customer: `cus_${mark}`,
    livemode: mark > 'b',
    payment_method_types: [mark],
  };
  return {
    ...Object.fromEntries(Object.entries(optional).filter(([name]) => has[name])),
    ...(status !== undefined && { status }),
    payment_status: paid ? 'paid' : 'unpaid',
    client_reference_id: mark,
  };
}

const shape = fc.record(
  Object.fromEntries(
    [
      ...['display_items', 'line_items', 'created', 'mode', 'submit_type', 'locale', 'metadata', 'customer'],
      ...['livemode', 'subscription', 'payment_method_types'],
    ].map((name) => [name, fc.boolean()]),
  ),
) as fc.Arbitrary<Record<string, boolean>>;

const states: fc.Arbitrary<State[]> = fc
  .array(
    fc.record({
      event: fc.constantFrom('evt_a', 'evt_b', 'evt_c', undefined),
      version: fc.constantFrom(null, '2020-03-02', '2022-08-01', '2026-09-30.endive'),
      account: fc.constantFrom(undefined, 'acct_1', 'acct_2'),
      shape,
      status: fc.constantFrom('open', 'complete', undefined),
      paid: fc.boolean(),
    }),
    { minLength: 2, maxLength: 4 },
  )
  .map((drawn) => {
    const keys = new Set<string>();
    return drawn.flatMap(({ event, version, account, shape, status, paid }, index): State[] => {
      const mark = 'abcd'[index] as string;
      const fields = fieldsOf(shape, status, paid, mark);
      // Two events share a second. An event has one account, whichever endpoint delivers it. Snapshots have distinct
      // seconds, because those of one second are ordered by arrival alone.
      const state: State =
        event === undefined
          ? { version, second: 100 + index, fields, ...(account !== undefined && { account }) }
          : { event, version, second: event === 'evt_a' ? 100 : 101, account: 'acct_1', fields };
      const key = event === undefined ? `${index}` : `${event} ${version}`;
      if (keys.has(key)) return [];
      keys.add(key);
      return [state];
    });
  });

/** Sets of states. Each is tried in every order: up to 24 orders of eight writes. */
const runs = Math.ceil(proofRuns(24) / 4);

test('any order, repetition and concurrency of states gives the same row and ledger', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(states, fc.nat(), async (set, repeated) => {
      let first: Awaited<ReturnType<typeof stored>> | undefined;
      for (const order of permutations(set)) {
        await clear();
        for (const state of order) await take(state);
        for (const state of order.slice(repeated % order.length)) await take(state);
        first ??= await stored();
        expect(await stored()).toEqual(first);
      }
      await clear();
      await Promise.all([...set, ...set].map(take));
      expect(await stored()).toEqual(first);
    }),
    { numRuns: runs },
  );
});

describe('one event delivered by two endpoints', () => {
  const common = { status: 'complete', payment_status: 'paid', mode: 'payment' };
  const old: State = {
    event: 'evt_a',
    version: '2020-03-02',
    second: 100,
    fields: { ...common, display_items: [{ a: 1 }] },
  };
  const current: State = {
    event: 'evt_a',
    version: '2026-09-30.endive',
    second: 100,
    fields: { ...common, created: 7 },
  };

  test('is applied in each API version that adds columns, and is then a duplicate', async () => {
    for (const order of [
      [old, current],
      [current, old],
    ]) {
      await clear();
      for (const state of order) expect(await take(state)).toBe('applied');
      const tag = await tagOf();
      for (const state of order) expect(await take(state)).toBe('duplicate');
      expect(await tagOf()).toBe(tag);
      const { session, events } = await stored();
      expect(session).toMatchObject({
        display_items: { '0': { a: 1 } },
        created: '1970-01-01T00:00:07+00:00',
        stripe_api_version: current.version,
        stripe_gaps: { display_items: [2, 100, 'evt_a', old.version], djstripe_owner_account: null },
      });
      expect(events).toEqual([expect.objectContaining({ id: 'evt_a', api_version: current.version })]);
      expect(await query('SELECT outcome FROM stripe_event')).toEqual([{ outcome: 'applied' }]);
    }
  });

  test('is a duplicate in an API version that adds nothing', async () => {
    const bare: State = { ...old, fields: common };
    expect(await take(current)).toBe('applied');
    const tag = await tagOf();
    expect(await take(bare)).toBe('duplicate');
    expect(await tagOf()).toBe(tag);
  });

  test('does not restore a deleted session', async () => {
    await take(current);
    await sessions.remove(id, noPreconditions);
    expect(await take(old)).toBe('duplicate');
    expect((await stored()).session).toBeUndefined();
  });
});

describe('a column missing from the newest state', () => {
  const newest: State = {
    event: 'evt_b',
    version: null,
    second: 200,
    fields: { payment_status: 'unpaid', locale: 'de' },
  };
  const older: State = {
    ...{ event: 'evt_a', version: null, second: 100 },
    fields: { payment_status: 'unpaid', locale: 'fr', metadata: { from: 'older' } },
  };

  test('is filled from an older state, which changes the ETag once', async () => {
    await take(newest);
    const before = await tagOf();
    expect(await take(older)).toBe('applied');
    const after = await tagOf();
    expect(after).not.toBe(before);
    expect(await take({ ...older, event: 'evt_0' })).toBe('stale');
    expect(await tagOf()).toBe(after);
    expect((await stored()).session).toMatchObject({ locale: 'de', metadata: { from: 'older' } });
  });

  test("loses a client's value to the first state that carries the column, but not to a repeated one", async () => {
    await take(newest);
    const metadata = columns.find(({ name }) => name === 'metadata') as (typeof columns)[number];
    const write = () =>
      sessions.patch(id, [{ column: metadata, value: { from: 'client' }, merge: false }], noPreconditions);
    await write();
    expect(await take(older)).toBe('applied');
    expect((await stored()).session).toMatchObject({ metadata: { from: 'older' } });
    await write();
    expect(await take(older)).toBe('duplicate');
    expect(await take({ ...older, event: 'evt_0', second: 99 })).toBe('stale');
    expect((await stored()).session).toMatchObject({ metadata: { from: 'client' } });
  });
});
