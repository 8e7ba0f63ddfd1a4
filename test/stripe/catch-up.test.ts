import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { type CatchUpTotals, catchUp } from '../../src/stripe/catch-up.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { expectSession } from '../support/contract.js';
import { processDatabase } from '../support/database.js';
import { runCommandLine, runWarmCommand } from '../support/process.js';
import { sessionsPath } from '../support/service.js';
import { deliver, type RawEvent, rawEvent, rawSession } from '../support/stripe.js';
import { manySessions, stripeKeys } from '../support/stripe-api.js';
import { startStripeMirror } from './support.js';

const { stripe, api, database, config, client, ingest } = await startStripeMirror();
const commands = await processDatabase();

const hour = 3600;
const day = 24 * hour;
const now = () => Math.floor(Date.now() / 1000);

beforeEach(async () => {
  stripe.reset();
  await database.query({ text: 'DELETE FROM stripe_progress', values: [] });
});

const none: CatchUpTotals = { pages: 0, seen: 0, applied: 0, stale: 0, duplicate: 0, deleted: 0, ignored: 0 };
const run = (more: Partial<Parameters<typeof catchUp>[0]> = {}) =>
  catchUp({ client, retries: 2, database, ingest, ...more });

/** Returns the `created[gte]` of each request to Stripe. */
const askedSince = () => stripe.requests.map((request) => Number(/created\[gte\]=(\d+)/.exec(request)?.[1]));

async function watermarks(): Promise<{ task: string; start: number }[]> {
  return database.query({
    text: `SELECT task, (state ->> 'start')::integer AS start FROM stripe_progress ORDER BY task`,
    values: [],
  });
}

async function setWatermark(start: number): Promise<void> {
  await database.query({
    text: `INSERT INTO stripe_progress (task, state) VALUES ('catch-up:test:', jsonb_build_object('start', $1::integer))`,
    values: [start],
  });
}

/** Builds one event each for `count` sessions, a second apart, the last a minute ago. */
function events(name: string, count: number, fields: Partial<RawEvent> = {}): RawEvent[] {
  return manySessions(name, count, { status: 'complete', payment_status: 'paid' }).map((session, index) =>
    rawEvent(session, { created: now() - 60 - count + index, ...fields }),
  );
}

function put(list: readonly RawEvent[], account?: string): void {
  for (const event of list) stripe.putEvent(event, account);
}

describe('a catch-up', () => {
  test('stores events the webhook missed, and counts delivered ones as duplicates', async () => {
    const list = events('missed', 250);
    put(list);
    for (const event of list.slice(0, 20)) await deliver(api, event).expect(200);
    expect(await run()).toEqual({ ...none, pages: 3, seen: 250, applied: 230, duplicate: 20 });
    const { body } = await api.get(`${sessionsPath}/cs_test_missed_0249`).expect(200);
    expectSession(body);
    const [row] = await database.query<{ count: number }>({
      text: `SELECT count(*)::integer AS count FROM stripe_event WHERE starts_with(session_id, 'cs_test_missed_')`,
      values: [],
    });
    expect(row?.count).toBe(250);
    expect(await run()).toEqual({ ...none, pages: 3, seen: 250, duplicate: 250 });
    expect((await deliver(api, list[249]).expect(200)).body.outcome).toBe('duplicate');
  });

  test('stores a page of events in batches, with far fewer statements than events', async () => {
    put(events('together', 100));
    const sizes: number[] = [];
    const batched = createIngest(
      mirrorStore(database, (_, size) => sizes.push(size)),
      config,
      pino({ level: 'silent' }),
    );
    expect(await run({ ingest: batched })).toEqual({ ...none, pages: 1, seen: 100, applied: 100 });
    expect(sizes.reduce((sum, size) => sum + size)).toBe(100);
    expect(sizes.length).toBeLessThan(10);
  });

  test('without events reports zeros and still stores a watermark', async () => {
    expect(await run()).toEqual(none);
    expect(await watermarks()).toHaveLength(1);
  });

  test('requests only Checkout Session events, first of 30 days, then from an hour before the last run', async () => {
    put([
      ...events('types', 1, { type: 'customer.created' }),
      ...events('old', 1, { created: now() - 31 * day }),
      ...events('known', 1, { created: now() - 29 * day }),
    ]);
    expect(await run()).toMatchObject({ seen: 1, applied: 1 });
    for (const name of ['completed', 'async_payment_succeeded', 'async_payment_failed', 'expired']) {
      expect(stripe.requests[0]).toContain(`=checkout.session.${name}`);
    }
    const [mark] = await watermarks();
    expect(mark?.task).toBe('catch-up:test:');
    expect(now() - (mark?.start ?? 0)).toBeLessThan(10);
    expect(await run()).toEqual(none);
    const [first, second] = askedSince();
    expect(first).toBe((mark?.start ?? 0) - 30 * day);
    expect(second).toBe((mark?.start ?? 0) - hour);
  });

  test('ends in the newest state, although Stripe lists the newest event first', async () => {
    const id = 'cs_test_order';
    put([
      rawEvent(rawSession({ id, status: 'complete' }), { created: now() - 300 }),
      rawEvent(rawSession({ id, status: 'complete', payment_status: 'paid' }), { created: now() - 200 }),
    ]);
    expect(await run()).toEqual({ ...none, pages: 1, seen: 2, applied: 1, stale: 1 });
    const [row] = await database.query({
      text: 'SELECT payment_status FROM checkout_session WHERE id = $1',
      values: [id],
    });
    expect(row).toEqual({ payment_status: 'paid' });
  });

  test('leaves deleted sessions deleted and ignores ids too long to store', async () => {
    const [event] = events('deleted', 1) as [RawEvent];
    await deliver(api, rawEvent(event.data.object)).expect(200);
    await api.delete(`${sessionsPath}/${event.data.object.id}`).expect(204);
    put([event, rawEvent(rawSession({ id: `cs_test_${'x'.repeat(300)}` }), { created: now() - 60 })]);
    expect(await run()).toEqual({ ...none, pages: 1, seen: 2, deleted: 1, ignored: 1 });
    await api.get(`${sessionsPath}/${event.data.object.id}`).expect(404);
  });

  test('of a connected account owns its sessions and keeps its own watermark', async () => {
    put(events('ours', 1));
    put(events('theirs', 1), 'acct_theirs');
    expect(await run({ account: 'acct_theirs' })).toMatchObject({ seen: 1, applied: 1 });
    const { body } = await api.get(`${sessionsPath}/cs_test_theirs_0000`).expect(200);
    expect(body.djstripe_owner_account).toBe('acct_theirs');
    await api.get(`${sessionsPath}/cs_test_ours_0000`).expect(404);
    expect((await watermarks()).map(({ task }) => task)).toEqual(['catch-up:test:acct_theirs']);
  });

  test('reports a gap when the last run is longer ago than Stripe keeps events', async () => {
    const start = now() - 40 * day;
    await setWatermark(start);
    const gaps: Date[] = [];
    await run({ onGap: (last) => gaps.push(last) });
    await run({ onGap: (last) => gaps.push(last) });
    expect(gaps).toEqual([new Date(start * 1000)]);
  });
});

describe('a failed catch-up', () => {
  test('keeps the watermark when Stripe fails, and the next run finds the older events', async () => {
    const start = now() - 2 * day;
    await setWatermark(start);
    put(events('stopped', 150, { created: now() - day }));
    stripe.fail(401, { after: 1 });
    let last: CatchUpTotals = none;
    await expect(
      run({
        onPage: (totals) => {
          last = totals;
        },
      }),
    ).rejects.toThrow('Invalid API Key');
    expect(last).toEqual({ ...none, pages: 1, seen: 100, applied: 100 });
    expect(await watermarks()).toEqual([{ task: 'catch-up:test:', start }]);
    expect(await run()).toEqual({ ...none, pages: 2, seen: 150, applied: 50, duplicate: 100 });
    expect(new Set(askedSince())).toEqual(new Set([start - hour]));
    expect((await watermarks())[0]?.start).toBeGreaterThan(start);
  });

  test('keeps the watermark when the database fails', async () => {
    put(events('refused', 3));
    const failing = {
      ...ingest,
      event: (body: Parameters<typeof ingest.event>[0]) =>
        body.data?.object && (body.data.object as { id: string }).id.endsWith('_0000')
          ? Promise.reject(new Error('the database went away'))
          : ingest.event(body),
    };
    await expect(run({ ingest: failing })).rejects.toThrow('the database went away');
    expect(await watermarks()).toEqual([]);
    expect(await run()).toMatchObject({ seen: 3, applied: 1, duplicate: 2 });
  });

  test('retries by itself when Stripe fails briefly', async () => {
    put(events('throttled', 150));
    stripe.fail(429, { after: 1, retryAfter: 1 });
    stripe.fail(500);
    expect(await run()).toMatchObject({ pages: 2, seen: 150, applied: 150 });
    expect(stripe.requests).toHaveLength(4);
  });
});

// Every command opens the database, which takes seconds on the embedded one.
describe('npm run catch-up', () => {
  const command = (args: string[] = [], environment: Record<string, string> = {}) =>
    runWarmCommand('catch-up', args, { ...commands.environment, ...stripe.environment, ...environment });

  test('exits with 1 when it fails, and when run again stores everything, prints the totals and exits with 0', async () => {
    put(events('command', 120));
    stripe.fail(401, { after: 1 });
    const failed = await runCommandLine('catch-up', [], { ...commands.environment, ...stripe.environment });
    expect(failed.code).toBe(1);
    expect(failed.stdout).toBe(
      'test: not finished: pages 1, seen 100, applied 100, stale 0, duplicate 0, deleted 0, ignored 0\n',
    );
    expect(failed.stderr).toContain('Invalid API Key');
    expect(failed.stderr).not.toMatch(/^\s+at /m);
    const done = await command([], { STRIPE_API_KEYS: `${stripeKeys.test},${stripeKeys.live}` });
    expect(done.stdout).toBe(
      `test: pages 2, seen 120, applied 20, stale 0, duplicate 100, deleted 0, ignored 0
live: pages 0, seen 0, applied 0, stale 0, duplicate 0, deleted 0, ignored 0
`,
    );
    expect(done.code).toBe(0);
    const tasks = await commands.use((mirror) =>
      mirror.query({ text: 'SELECT task FROM stripe_progress ORDER BY task', values: [] }),
    );
    expect(tasks).toEqual([{ task: 'catch-up:live:' }, { task: 'catch-up:test:' }]);
  });

  test('runs for a connected account', async () => {
    put(events('connected', 1), 'acct_command');
    const { code, stdout } = await command(['--account', 'acct_command']);
    expect(stdout).toBe('test acct_command: pages 1, seen 1, applied 1, stale 0, duplicate 0, deleted 0, ignored 0\n');
    expect(code).toBe(0);
  });

  test('without a key names the variable and exits with 1', async () => {
    const { code, stdout, stderr } = await command([], { STRIPE_API_KEYS: '' });
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('STRIPE_API_KEYS');
  });

  test('--help prints the usage without any configuration', async () => {
    const { code, stdout } = await runCommandLine('catch-up', ['--help'], { PORT: 'wrong' });
    expect(code).toBe(0);
    for (const word of ['--account', 'npm run catch-up']) expect(stdout).toContain(word);
  });
});
