import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { statisticsStore } from '../src/database/statistics.js';
import { paymentStates } from '../src/model/statistics.js';
import { expectComponent } from './support/contract.js';
import { onPostgres, testDatabase } from './support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';
import { deliver, type RawSession, rawEvent, rawSession, webhookSecret } from './support/stripe.js';

const database = await testDatabase();
const { api } = await startService({ database, environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const keyed = await startService({
  database,
  environment: { API_KEYS: 'full-key-0000000001', API_READ_KEYS: 'read-key-0000000001' },
});
const path = '/api/statistics/daily';

const epoch = (time: string) => Date.parse(time) / 1000;
let number = 0;

/** Delivers a session with a given time of creation. */
async function arrives(time: string, fields: Partial<RawSession> = {}): Promise<RawSession> {
  number += 1;
  const session = rawSession({ id: `cs_test_statistics_${number}`, created: epoch(time), ...fields });
  const { body } = await deliver(api, rawEvent(session)).expect(200);
  expect(body.outcome).toBe('applied');
  return session;
}

const paid = { status: 'complete', payment_status: 'paid' };

/** Returns the counts of a day that are not 0. */
async function dayOf(date: string, query = ''): Promise<Record<string, unknown>> {
  const { body } = await api.get(`${path}?days=1&until=${date}${query}`).expect(200);
  expectComponent('DailyStatistics', body);
  expect(body).toMatchObject({ days: [{ date }], left_out: [] });
  const { date: _, ...counts } = body.days[0];
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0));
}

/** Returns the days of an answer, newest first. A busy machine may leave some out. */
const datesOf = ({ days, left_out: leftOut }: { days: { date: string }[]; left_out: string[] }) => [
  ...days.map(({ date }) => date),
  ...leftOut,
];

test('a day counts each session once by state, and sums paid amounts by currency', async () => {
  const date = '2026-03-10';
  const noon = `${date}T12:00:00Z`;
  await arrives(noon, { ...paid, amount_total: 2198, currency: 'usd' });
  await arrives(noon, { ...paid, amount_total: 500, currency: 'usd' });
  await arrives(noon, { ...paid, amount_total: 1200, currency: 'jpy' });
  await arrives(noon, { ...paid, amount_total: null, currency: null });
  await arrives(noon, { status: 'complete', payment_status: 'no_payment_required', amount_total: 0 });
  await arrives(noon, { status: 'complete', payment_status: 'unpaid' });
  await arrives(noon, { status: 'open', payment_status: 'unpaid' });
  await arrives(noon, { status: 'open', payment_status: 'no_payment_required' });
  await arrives(noon, { status: 'expired', payment_status: 'unpaid' });
  await api
    .post(sessionsPath)
    .send(sessionBody({ created: noon }))
    .expect(201);
  expect(await dayOf(date)).toEqual({
    sessions: 10,
    ...{ paid: 4, no_payment_required: 1, unpaid: 1, open: 2, expired: 1, unknown: 1 },
    amounts: [
      { currency: 'jpy', sessions: 1, amount_total: 1200 },
      { currency: 'usd', sessions: 2, amount_total: 2698 },
    ],
  });
});

test('a day runs in UTC from its first microsecond to its last', async () => {
  for (const created of ['2026-03-11T23:59:59.999999Z', '2026-03-12T00:00:00Z', '2026-03-12T23:59:59.999999Z']) {
    await api.post(sessionsPath).send(sessionBody({ created })).expect(201);
  }
  await api
    .post(sessionsPath)
    .send(sessionBody({ created: '2026-03-13T01:30:00+02:00' }))
    .expect(201);
  const counts = await Promise.all(['2026-03-13', '2026-03-12', '2026-03-11'].map((date) => dayOf(date)));
  expect(counts.map(({ sessions = 0 }) => sessions)).toEqual([0, 3, 1]);
});

test('a session changes its state in the counts, and a deleted one leaves them', async () => {
  const date = '2026-03-14';
  const session = await arrives(`${date}T08:00:00Z`);
  expect(await dayOf(date)).toMatchObject({ sessions: 1, open: 1, amounts: [] });
  await deliver(api, rawEvent({ ...session, ...paid }, { created: 1_790_000_000 })).expect(200);
  expect(await dayOf(date)).toMatchObject({ sessions: 1, paid: 1, amounts: [{ currency: 'usd', amount_total: 2198 }] });
  await api.delete(`${sessionsPath}/${session.id}`).expect(204);
  expect(await dayOf(date)).toEqual({ amounts: [] });
});

test('live and test sessions can be counted separately', async () => {
  const date = '2026-03-15';
  await arrives(`${date}T08:00:00Z`, { ...paid, livemode: true, amount_total: 100 });
  await arrives(`${date}T09:00:00Z`, { ...paid, livemode: false, amount_total: 7 });
  const ofMode = async (livemode: string) => (await dayOf(date, `&livemode=${livemode}`)).amounts;
  expect(await ofMode('true')).toEqual([{ currency: 'usd', sessions: 1, amount_total: 100 }]);
  expect(await ofMode('0')).toEqual([{ currency: 'usd', sessions: 1, amount_total: 7 }]);
  expect(await dayOf(date)).toMatchObject({ paid: 2, amounts: [{ amount_total: 107 }] });
});

test('the default is the thirty days until today', async () => {
  const { body } = await api.get(path).expect(200);
  expect(new Set(datesOf(body)).size).toBe(30);
  const today = new Date().toISOString().slice(0, 10);
  expect([today, new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)]).toContain(body.days[0].date);
  for (const day of body.days) expect(Object.keys(day)).toEqual(expect.arrayContaining(paymentStates));
});

test('amounts beyond 32 bits are summed exactly, and invalid amounts or currencies skipped', async () => {
  const noon = '2026-03-16T12:00:00Z';
  const largest = 999_999_999_999_999;
  for (let times = 0; times < 3; times += 1) await arrives(noon, { ...paid, amount_total: largest, currency: 'IDR' });
  const hostile: Partial<RawSession>[] = [
    { amount_total: 1e300, currency: 'usd' },
    { amount_total: 12.5, currency: 'usd' },
    { amount_total: '12', currency: 'usd' },
    { amount_total: { $gt: 0 }, currency: ['usd'] },
    { amount_total: 5, currency: 'x'.repeat(10_000) },
    { amount_total: 5, currency: '' },
  ];
  for (const fields of hostile) await arrives(noon, { ...paid, ...fields });
  expect(await dayOf('2026-03-16')).toMatchObject({
    paid: 9,
    amounts: [
      { currency: 'idr', sessions: 3, amount_total: 3 * largest },
      { currency: 'usd', sessions: 3, amount_total: 0 },
    ],
  });
});

test('an unknown state of any length is stored and counted as unknown', async () => {
  await arrives('2026-03-17T12:00:00Z', { status: 's'.repeat(10_000), payment_status: 'p'.repeat(10_000) });
  await arrives('2026-03-17T12:00:00Z', { status: 'complete', payment_status: 'paid_twice' });
  expect(await dayOf('2026-03-17')).toMatchObject({ sessions: 2, unknown: 2 });
});

test('days that did not fit the time limit are listed as left out and can be requested again', async () => {
  const days = ['2026-03-12', '2026-03-11', '2026-03-10'];
  const query: typeof database.query = async (statement) => {
    await setTimeout(15);
    return database.query(statement);
  };
  const hurried = JSON.parse(await statisticsStore({ query }, 1).daily({ days, livemode: undefined }));
  expect(hurried.days.map(({ date }: { date: string }) => date)).toEqual(['2026-03-12']);
  expect(hurried.left_out).toEqual(['2026-03-11', '2026-03-10']);
  const { body } = await api.get(`${path}?until=${hurried.left_out[0]}&days=2`).expect(200);
  expect(datesOf(body)).toEqual(hurried.left_out);
  expect(body.days[0]).toMatchObject({ date: '2026-03-11', sessions: 1 });
});

test.each([
  ['days=0', '/days', 'from 1 to 90'],
  ['days=91', '/days', 'from 1 to 90'],
  ['days=1e1', '/days', 'from 1 to 90'],
  ['days=3&days=4', '/days', 'more than once'],
  ['until=2026-02-30', '/until', '2026-01-31'],
  ['until=1969-12-31', '/until', '1970-01-01'],
  ['until=0001-01-01', '/until', '1970-01-01'],
  ['until=yesterday', '/until', '2026-01-31'],
  ["until=2026-01-31'%20OR%20true", '/until', '2026-01-31'],
  ['livemode=live', '/livemode', 'true or false'],
  ['untl=2026-01-31', '/untl', 'did you mean until?'],
  ['customer=cus_1', '/customer', 'is not a parameter'],
  ['until=%00', '/until', 'U+0000'],
])('%s is 400 and names its place', async (query, pointer, words) => {
  const { errors } = expectProblem(await api.get(`${path}?${query}`), 400, 'invalid-request');
  expect(errors).toEqual([{ in: 'query', pointer, detail: expect.stringContaining(words) }]);
});

test('the first and last allowed days are answered', async () => {
  for (const until of ['1970-01-01', '9999-12-31']) {
    const { body } = await api.get(`${path}?until=${until}&days=90`).expect(200);
    expect(datesOf(body)).toHaveLength(90);
    expect(datesOf(body)[0]).toBe(until);
  }
});

test('statistics need a key, and a read key suffices', async () => {
  expectProblem(await keyed.api.get(path), 401, 'unauthorized');
  expectProblem(await keyed.api.get(path).set('authorization', 'Bearer wrong-key-000000001'), 401, 'unauthorized');
  await keyed.api.get(path).set('authorization', 'Bearer read-key-0000000001').expect(200);
  expectProblem(await keyed.api.post(path), 405, 'method-not-allowed');
});

test('statistics are refused to other sites', async () => {
  expectProblem(await api.get(path).set('sec-fetch-site', 'cross-site'), 403, 'forbidden');
});

interface Plan {
  'Node Type': string;
  'Index Name'?: string;
  Plans?: Plan[];
}

if (onPostgres)
  test('a day is counted by an index-only scan', async () => {
    await database.query({
      text: `INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, payment_method_types, created,
        status, payment_status, stripe_data)
      SELECT 'cs_test_plan_' || n, 'auto', 'payment', 'pay', '{}', timestamptz '2025-01-01Z' + n * interval '2 minutes',
        'complete', 'paid', jsonb_build_object('amount_total', n % 50, 'currency', 'usd', 'pad', repeat(md5(n::text), 9))
      FROM generate_series(1, 20000) AS n`,
      values: [],
    });
    await database.query({ text: 'VACUUM (ANALYZE) checkout_session', values: [] });
    const plans: Plan[] = [];
    const query: typeof database.query = async ({ text, values }) => {
      const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>({
        text: `EXPLAIN (FORMAT JSON) ${text}`,
        values,
      });
      plans.push((row as { 'QUERY PLAN': [{ Plan: Plan }] })['QUERY PLAN'][0].Plan);
      return database.query({ text, values });
    };
    await statisticsStore({ query }).daily({ days: ['2025-01-10'], livemode: undefined });
    await statisticsStore({ query }).daily({ days: ['2025-01-10'], livemode: true });
    const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
    for (const plan of plans) {
      const scans = nodesOf(plan).filter(
        (node) => /Scan/.test(node['Node Type']) && node['Node Type'] !== 'Subquery Scan',
      );
      expect(scans).toMatchObject([
        { 'Node Type': 'Index Only Scan', 'Index Name': 'checkout_session_statistics_idx' },
      ]);
    }
    expect(plans).toHaveLength(2);
  });
