import { beforeEach, describe, expect, test } from 'vitest';
import { type BackfillTotals, backfill, compare, type Difference } from '../../src/stripe/backfill.js';
import { expectSession } from '../support/contract.js';
import { processDatabase } from '../support/database.js';
import { runCommandLine, runWarmCommand } from '../support/process.js';
import { sessionsPath } from '../support/service.js';
import { deliver, type RawSession, rawEvent, rawSession } from '../support/stripe.js';
import { manySessions, stripeKeys } from '../support/stripe-api.js';
import { startStripeMirror } from './support.js';

const { stripe, api, database, client, ingest } = await startStripeMirror();
const commands = await processDatabase();

beforeEach(() => stripe.reset());

const run = (more: Partial<Parameters<typeof backfill>[0]> = {}) =>
  backfill({ client, retries: 2, database, ingest, ...more });
const none: BackfillTotals = { pages: 0, seen: 0, applied: 0, stale: 0, deleted: 0, ignored: 0 };
const get = async (id: string) => (await api.get(`${sessionsPath}/${id}`).expect(200)).body;
const now = () => Math.floor(Date.now() / 1000);

async function countOf(name: string): Promise<number> {
  const [row] = await database.query<{ count: number }>({
    text: 'SELECT count(*)::integer AS count FROM checkout_session WHERE starts_with(id, $1)',
    values: [`cs_test_${name}_`],
  });
  return row?.count ?? 0;
}

async function tasks(): Promise<string[]> {
  const rows = await database.query<{ task: string }>({ text: 'SELECT task FROM stripe_progress', values: [] });
  return rows.map(({ task }) => task);
}

function put(sessions: readonly RawSession[], account?: string): void {
  for (const session of sessions) stripe.putSession(session, account === undefined ? {} : { account });
}

function lineItems(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    id: `li_${index}`,
    object: 'item',
    quantity: 1,
    price: { id: 'price_1', object: 'price', unit_amount: 50, unit_amount_decimal: '50.125', tiers: null },
  }));
}

describe('a backfill', () => {
  test('stores every session of Stripe completely', async () => {
    put(manySessions('whole', 250, { status: 'complete', payment_status: 'paid', customer: 'cus_1' }));
    const pages: number[] = [];
    expect(await run({ onPage: ({ seen }) => pages.push(seen) })).toEqual({
      ...none,
      ...{ pages: 3, seen: 250, applied: 250 },
    });
    expect(pages).toEqual([100, 200, 250]);
    expect(await countOf('whole')).toBe(250);
    expect(await tasks()).toEqual([]);
    const session = await get('cs_test_whole_0249');
    expectSession(session);
    expect(session).toMatchObject({ customer: 'cus_1', livemode: false, display_items: {} });
    const [row] = await database.query({
      text: `SELECT status, payment_status, stripe_progress, stripe_event_id, stripe_api_version,
          stripe_data ? 'client_secret' AS secret FROM checkout_session WHERE id = 'cs_test_whole_0000'`,
      values: [],
    });
    expect(row).toEqual({
      status: 'complete',
      payment_status: 'paid',
      stripe_progress: 2,
      stripe_event_id: '',
      stripe_api_version: client.stripe.getApiField('version'),
      secret: false,
    });
  });

  test('of an empty account reports zeros', async () => {
    expect(await run()).toEqual(none);
  });

  test('covers the requested range of creation, including its start and excluding its end', async () => {
    const sessions = manySessions('range', 5);
    put(sessions);
    const [since, until] = [Number(sessions[1]?.created), Number(sessions[3]?.created)];
    expect(await run({ since, until })).toEqual({ ...none, pages: 1, seen: 2, applied: 2 });
    await get('cs_test_range_0001');
    await get('cs_test_range_0002');
    expect(await countOf('range')).toBe(2);
  });

  test.each([0, 1, 10, 11, 150, 201])("stores all %i line items in Stripe's order", async (count) => {
    const id = `cs_test_items_${count}`;
    const items = lineItems(count);
    stripe.putSession(rawSession({ id }), { lineItems: items });
    expect(await run()).toEqual({ ...none, pages: 1, seen: 1, applied: 1 });
    const { display_items } = await get(id);
    expect(display_items).toEqual({ ...items });
    expect(stripe.requests).toHaveLength(1 + (count > 10 ? Math.ceil((count - 10) / 100) : 0));
    const [row] = await database.query<{ line_items: unknown }>({
      text: `SELECT stripe_data -> 'line_items' AS line_items FROM checkout_session WHERE id = $1`,
      values: [id],
    });
    expect(row?.line_items).toMatchObject({ data: items, has_more: false });
  });

  test('of a connected account stores only its sessions, with it as owner', async () => {
    put(manySessions('ours', 1));
    put(manySessions('theirs', 1), 'acct_theirs');
    expect(await run({ account: 'acct_theirs' })).toEqual({ ...none, pages: 1, seen: 1, applied: 1 });
    expect((await get('cs_test_theirs_0000')).djstripe_owner_account).toBe('acct_theirs');
    expect(await countOf('ours')).toBe(0);
    await expect(run({ account: 'acct_unknown' })).rejects.toThrow('acct_unknown');
  });
});

describe('an interrupted backfill', () => {
  test('resumes at its cursor and also stores sessions created meanwhile', async () => {
    const sessions = manySessions('resumed', 250);
    put(sessions);
    stripe.fail(401, { after: 2 });
    let last: BackfillTotals = none;
    const onPage = (totals: BackfillTotals) => {
      last = totals;
    };
    await expect(run({ onPage })).rejects.toThrow('Invalid API Key');
    expect(last).toEqual({ ...none, pages: 2, seen: 200, applied: 200 });
    expect(await tasks()).toHaveLength(1);

    put(manySessions('resumed_new', 130, { created: 1_790_000_000 }));
    stripe.requests.length = 0;
    let resumed = 0;
    const onResume = () => {
      resumed += 1;
    };
    expect(await run({ onResume })).toEqual({ ...none, pages: 3, seen: 180, applied: 180 });
    expect(resumed).toBe(1);
    expect(stripe.requests.map((request) => /(ending_before|starting_after)=(\w+)/.exec(request)?.slice(1))).toEqual([
      ['ending_before', 'cs_test_resumed_0249'],
      ['ending_before', 'cs_test_resumed_new_0099'],
      ['starting_after', 'cs_test_resumed_0050'],
    ]);
    expect(await countOf('resumed')).toBe(380);
    expect(await tasks()).toEqual([]);
  });

  test('starts again with other parameters and keeps the first cursor', async () => {
    put(manySessions('other', 120));
    stripe.fail(401, { after: 1 });
    await expect(run()).rejects.toThrow();
    expect(await run({ since: 1 })).toMatchObject({ seen: 120 });
    expect(await tasks()).toHaveLength(1);
    expect(await run()).toMatchObject({ seen: 20 });
  });

  test('starts again when Stripe no longer has the sessions at its cursor', async () => {
    put(manySessions('gone', 120));
    stripe.fail(401, { after: 1 });
    await expect(run()).rejects.toThrow();
    stripe.removeSession('cs_test_gone_0119');
    stripe.removeSession('cs_test_gone_0020');
    expect(await run()).toMatchObject({ pages: 2, seen: 118 });
    expect(await countOf('gone')).toBe(120);
    expect(await tasks()).toEqual([]);
  });

  test('keeps the pages committed before a database failure', async () => {
    put(manySessions('database', 150));
    let calls = 0;
    const failing = {
      ...ingest,
      snapshots(list: Parameters<typeof ingest.snapshots>[0]) {
        calls += 1;
        return calls === 2 ? Promise.reject(new Error('the database went away')) : ingest.snapshots(list);
      },
    };
    await expect(run({ ingest: failing })).rejects.toThrow('the database went away');
    expect(await countOf('database')).toBe(100);
    expect(await run()).toMatchObject({ seen: 50 });
  });

  test('stops after the current page on its abort signal', async () => {
    put(manySessions('signal', 150));
    const ending = new AbortController();
    await expect(run({ signal: ending.signal, onPage: () => ending.abort() })).rejects.toThrow('aborted');
    expect(await countOf('signal')).toBe(100);
    expect(await run()).toMatchObject({ seen: 50 });
  });
});

describe('when Stripe fails, a backfill', () => {
  test('waits as long as Retry-After says', async () => {
    put(manySessions('throttled', 150));
    stripe.fail(429, { after: 1, times: 2, retryAfter: 1 });
    const began = Date.now();
    expect(await run()).toEqual({ ...none, pages: 2, seen: 150, applied: 150 });
    expect(Date.now() - began).toBeGreaterThanOrEqual(2000);
    expect(stripe.requests).toHaveLength(4);
  });

  test.each(['cut', 429, 500] as const)('retries after %s', async (failure) => {
    put(manySessions(`failing_${failure}`, 1));
    // Two failures, because the SDK itself retries one cut connection.
    stripe.fail(failure, { times: 2 });
    expect(await run()).toMatchObject({ seen: 1 });
    expect(stripe.requests).toHaveLength(3);
  });

  test.each(['page 200', 'page 502', 'json 503'] as const)('retries when a proxy answers %s', async (page) => {
    put(manySessions(`proxy_${page.slice(-3)}`, 1));
    stripe.fail(page);
    expect(await run()).toMatchObject({ seen: 1 });
    expect(stripe.requests).toHaveLength(2);
  });

  test.each(['page 302', 'page 404', 'json 404', 404, 401] as const)('stops at once on %s', async (failure) => {
    put(manySessions('refused', 1));
    stripe.fail(failure, { times: 9 });
    await expect(run({ retries: 8 })).rejects.toThrow(
      typeof failure === 'number' ? /URL|API Key/ : `The response is not from Stripe (HTTP ${failure.slice(-3)})`,
    );
    expect(stripe.requests).toHaveLength(1);
  });

  test('gives up after its retries and keeps the stored pages', async () => {
    put(manySessions('down', 150));
    stripe.fail(500, { after: 1, times: 10 });
    await expect(run({ retries: 1 })).rejects.toThrow('An unknown error occurred');
    expect(stripe.requests).toHaveLength(3);
    expect(await countOf('down')).toBe(100);
  });

  test('stops on its abort signal while it waits for Stripe', async () => {
    const ending = new AbortController();
    stripe.fail('silence');
    setTimeout(() => ending.abort(), 50);
    await expect(run({ signal: ending.signal })).rejects.toThrow('aborted');
    stripe.fail(429, { retryAfter: 600 });
    const waiting = new AbortController();
    setTimeout(() => waiting.abort(), 200);
    await expect(run({ signal: waiting.signal })).rejects.toThrow('aborted');
  });
});

describe('beside the webhook a backfill', () => {
  // The events carry line items: otherwise an older state would add the items that a newer one lacks.
  const line_items = { object: 'list', data: [], has_more: false, url: '/v1/checkout/sessions' };
  const states = (id: string) => [
    rawSession({ id, metadata: { from: 'page' } }),
    rawEvent(rawSession({ id, line_items, metadata: { from: 'webhook' } }), { created: now() }),
  ];

  test('does not overwrite a newer event that arrives during its request', async () => {
    const [session, event] = states('cs_test_race_1') as [RawSession, object];
    stripe.putSession(session);
    stripe.before = () => deliver(api, event).expect(200);
    expect(await run()).toMatchObject({ applied: 0, stale: 1 });
    expect((await get('cs_test_race_1')).metadata).toEqual({ from: 'webhook' });
  });

  test('is overwritten by a newer event and not by an older one', async () => {
    const [session, event] = states('cs_test_race_2') as [RawSession, object];
    stripe.putSession(session);
    expect(await run()).toMatchObject({ applied: 1 });
    await deliver(api, rawEvent(rawSession({ id: 'cs_test_race_2', metadata: { from: 'the past' } }))).expect(200);
    expect((await get('cs_test_race_2')).metadata).toEqual({ from: 'page' });
    await deliver(api, event).expect(200);
    expect((await get('cs_test_race_2')).metadata).toEqual({ from: 'webhook' });
  });

  test('does not overwrite a state of greater progress, whatever the times', async () => {
    const id = 'cs_test_race_3';
    const paid = { status: 'complete', payment_status: 'paid' };
    await deliver(api, rawEvent(rawSession({ id, line_items, ...paid }), { created: 1000 })).expect(200);
    stripe.putSession(rawSession({ id }));
    expect(await run()).toMatchObject({ stale: 1 });
  });

  test('leaves a session deleted that was deleted here', async () => {
    put(manySessions('deleted', 3));
    await run();
    await api.delete(`${sessionsPath}/cs_test_deleted_0001`).expect(204);
    expect(await run()).toMatchObject({ pages: 1, seen: 3, deleted: 1 });
    await api.get(`${sessionsPath}/cs_test_deleted_0001`).expect(404);
  });

  test('ignores an id too long to store and stores the others', async () => {
    put([...manySessions('held', 2), rawSession({ id: `cs_test_${'x'.repeat(300)}` })]);
    expect(await run()).toEqual({ ...none, pages: 1, seen: 3, applied: 2, ignored: 1 });
  });
});

describe('backfill --dry-run compares the mirror with Stripe and', () => {
  const comparison = async (account?: string) => {
    const differences: Difference[] = [];
    const onDifference = (difference: Difference) => differences.push(difference);
    const totals = await compare({ client, account, retries: 2, database, onDifference });
    return { totals, differences };
  };

  test('finds no difference after a backfill', async () => {
    put(manySessions('same', 150, { customer: { id: 'cus_1', object: 'customer' }, submit_type: 'subscribe' }));
    stripe.putSession(rawSession({ id: 'cs_test_same_items' }), { lineItems: lineItems(12) });
    await run();
    const { totals, differences } = await comparison();
    expect(differences).toEqual([]);
    expect(totals).toEqual({ pages: 2, seen: 151, same: 151, missing: 0, differs: 0, deleted: 0, ignored: 0 });
  });

  test('reports missing, deleted and different sessions and writes nothing', async () => {
    const [one, two, three] = manySessions('differs', 4) as RawSession[];
    put(manySessions('differs', 4).slice(0, 3));
    await run();
    await api.delete(`${sessionsPath}/${one?.id}`).expect(204);
    await api.patch(`${sessionsPath}/${two?.id}`).send({ customer: 'cus_ours' }).expect(200);
    put([{ ...three, status: 'complete', payment_status: 'paid', metadata: { secret: 'x' } } as RawSession]);
    put(manySessions('differs', 4).slice(3));
    const before = await database.query({ text: 'SELECT document FROM checkout_session ORDER BY id', values: [] });
    const { totals, differences } = await comparison();
    expect(differences).toEqual([
      { id: 'cs_test_differs_0003', kind: 'missing', columns: [] },
      { id: 'cs_test_differs_0002', kind: 'differs', columns: ['metadata', 'status', 'payment_status'] },
      { id: 'cs_test_differs_0001', kind: 'differs', columns: ['customer'] },
      { id: 'cs_test_differs_0000', kind: 'deleted', columns: [] },
    ]);
    expect(totals).toEqual({ pages: 1, seen: 4, same: 0, missing: 1, differs: 2, deleted: 1, ignored: 0 });
    expect(await database.query({ text: 'SELECT document FROM checkout_session ORDER BY id', values: [] })).toEqual(
      before,
    );
    expect(await tasks()).not.toContain('backfill:test:::');
  });
});

// Every command opens the database, which takes seconds on the embedded one.
describe('npm run backfill', () => {
  const command = (args: string[] = [], environment: Record<string, string> = {}) =>
    runWarmCommand('backfill', args, { ...commands.environment, ...stripe.environment, ...environment });

  const sessionCount = () =>
    commands.use(async (mirror) => {
      const rows = await mirror.query({ text: 'SELECT id FROM checkout_session', values: [] });
      return rows.length;
    });

  test('stores everything, prints the totals and exits with 0', async () => {
    put(manySessions('command', 250));
    const compared = await command(['--dry-run']);
    expect(compared.code).toBe(1);
    expect(compared.stdout.split('\n').filter((line) => line.startsWith('missing cs_test_command_'))).toHaveLength(250);
    expect(compared.stdout).toContain(
      '\ntest: pages 3, seen 250, same 0, missing 250, differs 0, deleted 0, ignored 0\n',
    );
    expect(await sessionCount()).toBe(0);
    const filled = await runCommandLine('backfill', [], { ...commands.environment, ...stripe.environment });
    expect(filled.stdout).toBe('test: pages 3, seen 250, applied 250, stale 0, deleted 0, ignored 0\n');
    expect(filled.code).toBe(0);
    expect(await sessionCount()).toBe(250);
    const same = await command(['--dry-run']);
    expect(same.stdout).toBe('test: pages 3, seen 250, same 250, missing 0, differs 0, deleted 0, ignored 0\n');
    expect(same.code).toBe(0);
    put([rawSession({ id: 'cs_test_command_0000', customer: 'cus_private', created: 1_769_860_800 })]);
    const differs = await command(['--dry-run', '--until', '2026-02-01']);
    expect(differs.stdout).toMatch(/^differs cs_test_command_0000: customer\ntest: /);
    expect(differs.stdout).not.toContain('cus_private');
    expect(differs.code).toBe(1);
  });

  test('exits with 1 and the totals so far when it fails, and resumes when run again', async () => {
    put(manySessions('stopped', 150), 'acct_command');
    stripe.fail(401, { after: 1 });
    const failed = await command(['--account', 'acct_command']);
    expect(failed.code).toBe(1);
    expect(failed.stdout).toBe(
      'test acct_command: not finished: pages 1, seen 100, applied 100, stale 0, deleted 0, ignored 0\n',
    );
    expect(failed.stderr).toContain('Invalid API Key');
    expect(failed.stderr).not.toMatch(/^\s+at /m);
    const rest = await command(['--account', 'acct_command']);
    expect(rest.stdout).toBe(
      `test acct_command: resumes an interrupted run
test acct_command: pages 1, seen 50, applied 50, stale 0, deleted 0, ignored 0
`,
    );
    expect(rest.code).toBe(0);
  });

  test('runs each mode that has a key and that STRIPE_LIVEMODE accepts', async () => {
    put([...manySessions('modes', 1), rawSession({ id: 'cs_live_modes', livemode: true })]);
    const both = { STRIPE_API_KEYS: `${stripeKeys.test}, ${stripeKeys.live}` };
    const all = await command(['--since', '2026-01-01'], both);
    expect(all.stdout).toBe(
      `test: pages 1, seen 1, applied 1, stale 0, deleted 0, ignored 0
live: pages 1, seen 1, applied 1, stale 0, deleted 0, ignored 0
`,
    );
    const live = await command(['--dry-run'], { ...both, STRIPE_LIVEMODE: 'live' });
    expect(live.stdout).toBe('live: pages 1, seen 1, same 1, missing 0, differs 0, deleted 0, ignored 0\n');
    expect([all.code, live.code]).toEqual([0, 0]);
  });

  test('without a key names the variable and exits with 1', async () => {
    for (const environment of [{ STRIPE_API_KEYS: '' }, { STRIPE_LIVEMODE: 'live' }]) {
      const { code, stdout, stderr } = await command([], environment);
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toContain('STRIPE_API_KEYS');
    }
  });

  test.each([
    ['--since', 'yesterday'],
    ['--since', '2026-02-01', '--until', '2026-01-01'],
    ['--days', '3'],
    ['everything'],
  ])('refuses the arguments %s %s', async (...args) => {
    const { code, stderr } = await command(args);
    expect(code).toBe(2);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stripe.requests).toEqual([]);
  });

  test('--help prints the usage without any configuration', async () => {
    const { code, stdout } = await runCommandLine('backfill', ['--help'], { PORT: 'wrong' });
    expect(code).toBe(0);
    for (const word of ['--since', '--until', '--account', '--dry-run', 'npm run backfill']) {
      expect(stdout).toContain(word);
    }
  });
});
