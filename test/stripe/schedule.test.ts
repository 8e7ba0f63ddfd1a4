import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config.js';
import { removeOldEvents } from '../../src/database/retention.js';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { stripeClients } from '../../src/stripe/client.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { type Schedule, startSchedule } from '../../src/stripe/schedule.js';
import { processDatabase, testDatabase } from '../support/database.js';
import { parseLog, startProcess } from '../support/process.js';
import { rawEvent, rawSession } from '../support/stripe.js';
import { startStripeApi } from '../support/stripe-api.js';

const stripe = await startStripeApi();
// A separate Stripe: a run that an earlier test stopped may still send requests to the other one.
const quiet = await startStripeApi();
const database = await testDatabase();
const ownDatabase = await processDatabase();
const config = parseConfig(stripe.environment);
const logged: { level: number; msg: string; err?: { message: string } }[] = [];
const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
const runs: string[] = [];
const started: Schedule[] = [];
const removeOld = (days: number) => removeOldEvents(database, days);

function start(catchUpInterval: number, environment: Record<string, string> = stripe.environment): Schedule {
  const schedule = startSchedule({
    database,
    ingest: createIngest(mirrorStore(database), config, log),
    log,
    clients: stripeClients(parseConfig(environment)),
    catchUpInterval,
    eventRetentionDays: 90,
    changeRetentionDays: 30,
    onRun: (work, outcome) => void runs.push(`${work} ${outcome}`),
  });
  started.push(schedule);
  return schedule;
}

beforeEach(() => {
  stripe.reset();
  logged.length = 0;
  runs.length = 0;
});
afterEach(() => Promise.all(started.splice(0).map((schedule) => schedule.stop())));

const now = () => Math.floor(Date.now() / 1000);
const messages = () => logged.map(({ msg }) => msg);

async function addEvents(name: string, count: number, age: string): Promise<void> {
  await database.query({
    text: `INSERT INTO stripe_event (session_id, id, type, created, received_at, outcome)
      SELECT 'cs_' || $1::text || n, 'evt_' || $1::text || n, 'checkout.session.completed', now(), now() - $3::interval, 'applied'
      FROM generate_series(1, $2::integer) AS n`,
    values: [name, count, age],
  });
}

async function countOf(name: string): Promise<number> {
  const [row] = await database.query<{ count: number }>({
    text: 'SELECT count(*)::integer AS count FROM stripe_event WHERE starts_with(id, $1)',
    values: [`evt_${name}`],
  });
  return row?.count ?? 0;
}

describe('removal of old events', () => {
  test('deletes every event past its retention, in several batches, and nothing else', async () => {
    await addEvents('old', 20_500, '91 days');
    await addEvents('kept', 10, '89 days');
    expect(await removeOld(90)).toBe(20_500);
    expect([await countOf('old'), await countOf('kept')]).toEqual([0, 10]);
    expect(await removeOld(1_000_000_000)).toBe(0);
  });

  test('counts each event once when four removals run at the same time', async () => {
    await addEvents('shared', 12_000, '91 days');
    const removed = await Promise.all([1, 2, 3, 4].map(() => removeOld(90)));
    expect(removed.reduce((sum, count) => sum + count)).toBe(12_000);
    expect(await countOf('shared')).toBe(0);
  });

  test('keeps the newest payment failure of every unpaid session', async () => {
    const type = 'checkout.session.async_payment_failed';
    await addEvents('failed', 10_050, '92 days');
    await addEvents('after', 50, '91 days');
    await database.query({ text: `UPDATE stripe_event SET type = $1 WHERE id LIKE 'evt_failed%'`, values: [type] });
    await database.query({
      text: `INSERT INTO checkout_session
          (id, billing_address_collection, mode, submit_type, payment_method_types, payment_status)
        SELECT 'cs_failed' || n, 'auto', 'payment', 'auto', '{}', CASE WHEN n > 10020 THEN 'paid' ELSE 'unpaid' END
        FROM generate_series(1, 10030) AS n`,
      values: [],
    });
    // 20 failed events have no session any more, and 10 belong to a paid session.
    expect(await removeOld(90)).toBe(50 + 30);
    expect([await countOf('failed'), await countOf('after')]).toEqual([10_020, 0]);
    await database.query({ text: `DELETE FROM checkout_session WHERE id LIKE 'cs_failed%'`, values: [] });
    expect(await removeOld(90)).toBe(10_020);
  });

  test('runs as soon as the service starts', async () => {
    await addEvents('start', 5, '91 days');
    start(0);
    await expect.poll(() => countOf('start')).toBe(0);
    await expect.poll(messages).toContain('removed old events');
  });
});

describe('catch-up', () => {
  test('runs at once and again after each interval', async () => {
    stripe.putEvent(rawEvent(rawSession({ id: 'cs_test_periodic' }), { created: now() - 60 }));
    start(20);
    await expect.poll(() => stripe.requests.length).toBeGreaterThan(3);
    expect(messages()).toContain('caught up');
    expect(await countOf('0')).toBe(1);
  });

  test('never runs twice at the same time', async () => {
    let running = 0;
    let most = 0;
    quiet.before = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 60));
      running -= 1;
    };
    start(1, quiet.environment);
    await expect.poll(() => quiet.requests.length).toBeGreaterThan(3);
    expect(most).toBe(1);
  });

  test('does not run without an interval or without a usable key', async () => {
    const schedules = [start(0), start(20, {}), start(20, { ...stripe.environment, STRIPE_LIVEMODE: 'live' })];
    await new Promise((resolve) => setTimeout(resolve, 100));
    await Promise.all(schedules.map((schedule) => schedule.stop()));
    expect(stripe.requests).toEqual([]);
  });

  test('with an interval longer than timers allow runs once, not in a loop', async () => {
    start(Number.MAX_SAFE_INTEGER);
    await expect.poll(messages).toContain('caught up');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(stripe.requests).toHaveLength(1);
  });

  test('logs a failed run and tries again', async () => {
    stripe.fail(401);
    start(20);
    await expect.poll(messages).toContain('caught up');
    expect(logged[0]).toMatchObject({
      level: 50,
      msg: 'catch-up failed',
      err: { message: expect.stringContaining('Invalid API Key') },
    });
    expect(runs.filter((run) => run.startsWith('catch-up')).slice(0, 2)).toEqual(['catch-up failed', 'catch-up done']);
  });
});

describe('stopping the schedule', () => {
  test('starts no further run', async () => {
    const schedule = start(10);
    await expect.poll(() => stripe.requests.length).toBeGreaterThan(0);
    await schedule.stop();
    // A request sent before the stop may still arrive.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { length } = stripe.requests;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(stripe.requests).toHaveLength(length);
  });

  test.each([
    ['does not answer', 'silence'],
    ['asks to come back later', 429],
  ] as const)('does not wait for a Stripe that %s, and logs no error', async (_, failure) => {
    stripe.fail(failure, { retryAfter: 600 });
    const schedule = start(1000);
    await expect.poll(() => stripe.requests.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const began = Date.now();
    await schedule.stop();
    expect(Date.now() - began).toBeLessThan(1000);
    expect(logged.filter(({ level }) => level >= 50)).toEqual([]);
  });
});

test('the service catches up, and exits with 0 while Stripe does not answer', async () => {
  stripe.putEvent(rawEvent(rawSession({ id: 'cs_test_service' }), { created: now() - 60 }));
  const environment = { ...ownDatabase.environment, ...stripe.environment };
  const service = await startProcess({ ...environment, CATCH_UP_INTERVAL_MINUTES: '1' });
  await service.until('"msg":"caught up"');
  const caughtUp = parseLog(service.output()).find(({ msg }) => msg === 'caught up');
  expect(caughtUp).toMatchObject({ mode: 'test', seen: 1, applied: 1 });
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('scheduled_runs_total{work="catch-up",outcome="done"} 1\n');
  service.kill('SIGTERM');
  expect(await service.exited).toMatchObject({ code: 0, stderr: '' });

  stripe.fail('silence');
  const silent = await startProcess({ ...environment, CATCH_UP_INTERVAL_MINUTES: '1' });
  await expect.poll(() => stripe.requests.length).toBe(2);
  silent.kill('SIGTERM');
  const { code, stdout } = await silent.exited;
  expect(code).toBe(0);
  expect(stdout).not.toContain('failed');
});
