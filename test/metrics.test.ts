import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { registerHistogram } from '../src/plugins/histogram.js';
import { version } from '../src/version.js';
import { onPostgres, testDatabase } from './support/database.js';
import { expectProblem, type Service, sessionBody, sessionsPath, startService } from './support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from './support/stripe.js';

const database = await testDatabase();
const keys = { API_KEYS: 'full-key-0000000001', API_READ_KEYS: 'read-key-0000000001' };
const local = await startService({ database, environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const keyed = await startService({ database, environment: keys });
const open = await startService({ database, environment: { ALLOW_ANONYMOUS: 'true', HOST: '0.0.0.0' } });
const broken = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });

/** Returns the value of a series as Prometheus reads it, or undefined if there is none. */
async function reading({ api }: Service, series: string): Promise<number | undefined> {
  const { text } = await api.get('/metrics').expect(200);
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

/** Returns how much a series grows during `work`. Polls, because a request may be counted just after its answer. */
async function growth(service: Service, series: string, work: () => Promise<unknown>): Promise<number> {
  const before = (await reading(service, series)) ?? 0;
  await work();
  const grown = async () => ((await reading(service, series)) ?? 0) - before;
  for (let tries = 0; tries < 20 && (await grown()) === 0; tries += 1) await setTimeout(10);
  return grown();
}

const answered = (method: string, route: string, status: number) =>
  `http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;

test('/metrics is valid Prometheus text', async () => {
  const { text } = await local.api
    .get('/metrics')
    .expect(200)
    .expect('content-type', /^text\/plain; version=0\.0\.4/);
  const series = /^[a-z_:][a-z_0-9:]*(\{([a-z_]+="[^"]*",?)+\})? ([-+\d.e]+|\+Inf|Nan)$/i;
  const lines = text.split('\n').filter((line) => line && !/^# (HELP|TYPE) /.test(line));
  expect(lines.length).toBeGreaterThan(50);
  for (const line of lines) expect(line).toMatch(series);
});

test('requests are counted by route template, method and status, never by id', async () => {
  const { id, ...rest } = sessionBody();
  const path = `${sessionsPath}/${id}`;
  const route = `${sessionsPath}/:id`;
  expect(await growth(local, answered('PUT', route, 201), () => local.api.put(path).send({ id, ...rest }))).toBe(1);
  expect(await growth(local, answered('GET', route, 200), () => local.api.get(`${path}/`))).toBe(1);
  expect(await growth(local, answered('GET', route, 404), () => local.api.get(`${path}0`))).toBe(1);
  expect(await growth(local, answered('POST', route, 405), () => local.api.post(path))).toBe(1);
  expect(await growth(local, answered('GET', 'none', 404), () => local.api.get('/of/no/route?a=secret'))).toBe(1);
  const { text } = await local.api.get('/metrics');
  expect(text).not.toMatch(/cs_test_|secret/);
});

test('a request without a key is counted under its route with status 401', async () => {
  for (const [path, route] of [
    [`${sessionsPath}/cs_test_1`, `${sessionsPath}/:id`],
    ['/metrics', '/metrics'],
  ] as const) {
    const series = answered('GET', route, 401);
    const read = async () => {
      const { text } = await keyed.api.get('/metrics').set('authorization', `Bearer ${keys.API_READ_KEYS}`);
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')[1] ?? 0,
      );
    };
    const before = await read();
    await keyed.api.get(path).expect(401);
    await expect.poll(read).toBe(before + 1);
  }
});

test('the version is a metric', async () => {
  expect(await reading(local, `checkout_session_build_info{version="${version}"}`)).toBe(1);
});

test('a request counts in every bucket above its duration', async () => {
  const labels = 'method="GET",route="/health/live",status="200"';
  const bucket = (le: string) => `http_request_duration_seconds_bucket{le="${le}",${labels}}`;
  expect(await growth(local, bucket('+Inf'), () => local.api.get('/health/live'))).toBe(1);
  expect(await reading(local, bucket('10'))).toBe(await reading(local, bucket('+Inf')));
  const sum = await reading(local, `http_request_duration_seconds_sum{${labels}}`);
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThan(10);
});

test('a histogram bucket includes its bound and all lower buckets', async () => {
  const registry = new Registry();
  const series = registerHistogram(registry, { name: 'sizes', help: 'Of the test.', buckets: [1, 10] })({ of: 'a' });
  for (const size of [1, 2, 10, 11]) series.observe(size);
  expect(await registry.metrics()).toBe(`# HELP sizes Of the test.
# TYPE sizes histogram
sizes_bucket{le="1",of="a"} 1
sizes_bucket{le="10",of="a"} 3
sizes_bucket{le="+Inf",of="a"} 4
sizes_sum{of="a"} 24
sizes_count{of="a"} 4
`);
});

test('the scrape itself counts as in flight and as a connection', async () => {
  expect(await reading(local, 'http_requests_in_flight')).toBe(1);
  expect(await reading(local, 'http_connections')).toBeGreaterThanOrEqual(1);
});

test('a client that leaves before its answer counts as 499 and is no longer in flight', async () => {
  const leave = async () => {
    const socket = connect(Number(new URL(local.url).port), '127.0.0.1');
    socket.write(`POST ${sessionsPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`);
    socket.write('Content-Length: 10\r\n\r\n{');
    await expect.poll(() => reading(local, 'http_requests_in_flight')).toBe(2);
    socket.destroy();
    await expect.poll(() => reading(local, 'http_requests_in_flight')).toBe(1);
  };
  expect(await growth(local, answered('POST', sessionsPath, 499), leave)).toBe(1);
});

test('unusual methods share one label', async () => {
  const series = answered('other', '/health/live', 405);
  expect(await growth(local, series, () => fetch(`${local.url}/health/live`, { method: 'PROPFIND' }))).toBe(1);
});

test('event-loop lag and process memory are measured', async () => {
  expect(await reading(local, 'nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  expect(await reading(local, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
});

test('batches are counted by size', async () => {
  const { id, ...rest } = sessionBody();
  await local.api
    .put(`${sessionsPath}/${id}`)
    .send({ id, ...rest })
    .expect(201);
  const { text } = await local.api.get('/metrics');
  const kinds = [...text.matchAll(/^database_batch_size_count\{kind="([^"]+)"\} (\d+)$/gm)];
  expect(kinds.length).toBeGreaterThan(0);
  for (const [, , count] of kinds) expect(Number(count)).toBeGreaterThan(0);
});

test('deliveries are counted by type and outcome, and other types share one label', async () => {
  const series = (type: string, outcome: string) => `stripe_webhook_events_total{type="${type}",outcome="${outcome}"}`;
  const type = 'checkout.session.completed';
  const event = rawEvent(rawSession({ id: 'cs_test_metrics' }), { type });
  expect(await growth(local, series(type, 'applied'), () => deliver(local.api, event).expect(200))).toBe(1);
  expect(await growth(local, series(type, 'duplicate'), () => deliver(local.api, event).expect(200))).toBe(1);
  const other = rawEvent(rawSession({ id: 'cs_test_metrics' }), { type: 'customer.created' });
  expect(await growth(local, series('other', 'ignored'), () => deliver(local.api, other).expect(200))).toBe(1);
  const forged = () => deliver(local.api, event, 'whsec_of_another').expect(400);
  expect(await growth(local, series('other', 'refused'), forged)).toBe(1);
});

test('a delivery that could not be stored is counted as failed', async () => {
  await broken.database.query({ text: 'ALTER TABLE checkout_session RENAME TO lost', values: [] });
  const event = rawEvent(rawSession({ id: 'cs_test_failed' }));
  const series = 'stripe_webhook_events_total{type="checkout.session.completed",outcome="failed"}';
  expect(await growth(broken, series, () => deliver(broken.api, event).expect(500))).toBe(1);
  await broken.database.query({ text: 'ALTER TABLE lost RENAME TO checkout_session', values: [] });
});

test('unknown enum values and ignored objects are counted from every source', async () => {
  const unknown = rawEvent(rawSession({ id: 'cs_test_projected', submit_type: 'subscribe' }));
  expect(await growth(local, 'stripe_projected_total', () => deliver(local.api, unknown).expect(200))).toBe(1);
  const scheduled = () => local.app.ingest.snapshot({ object: { object: 'customer', id: 'cus_1' }, second: 1 });
  expect(await growth(local, 'stripe_ignored_total', scheduled)).toBe(1);
});

test('the age of the last event comes from the ledger and is NaN while it is empty', async () => {
  expect(await reading(broken, 'stripe_last_event_age_seconds')).toBeNaN();
  await database.query({ text: `UPDATE stripe_event SET received_at = now() - interval '1 hour'`, values: [] });
  expect(await reading(local, 'stripe_last_event_age_seconds')).toBeGreaterThanOrEqual(3600);
  await deliver(local.api, rawEvent(rawSession({ id: 'cs_test_now' }))).expect(200);
  expect(await reading(local, 'stripe_last_event_age_seconds')).toBeLessThan(600);
});

test('/metrics still works without the ledger', async () => {
  await broken.database.query({ text: 'ALTER TABLE stripe_event RENAME TO lost', values: [] });
  expect(await reading(broken, 'stripe_last_event_age_seconds')).toBeNaN();
  expect(await reading(broken, 'http_requests_in_flight')).toBe(1);
});

test('two services in one process keep separate counts', async () => {
  expect(await growth(broken, answered('GET', '/health/ready', 200), () => local.api.get('/health/ready'))).toBe(0);
});

test('with keys configured /metrics needs a key, and a read key suffices', async () => {
  expectProblem(await keyed.api.get('/metrics'), 401, 'unauthorized');
  for (const key of Object.values(keys)) {
    await keyed.api.get('/metrics').set('authorization', `Bearer ${key}`).expect(200);
  }
});

test('ALLOW_ANONYMOUS opens the API but not /metrics', async () => {
  await open.api.get(sessionsPath).expect(200);
  expect(expectProblem(await open.api.get('/metrics'), 401, 'unauthorized').detail).toContain('API_READ_KEYS');
});

test.each([
  ['a rebound name', { host: 'rebound.example.com' }, 421],
  ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 403],
  ['a proxy on this machine', { 'x-forwarded-for': '10.0.0.1' }, 403],
])('without keys a request from %s cannot read /metrics', async (_, headers, status) => {
  expect((await local.api.get('/metrics').set(headers)).status).toBe(status);
});

if (onPostgres) {
  test("the pool's limit, connections and waiting requests are measured", async () => {
    const { limit } = database.pool?.() ?? {};
    expect(limit).toBe(10);
    const asleep = Array.from({ length: 12 }, () => database.query({ text: 'SELECT pg_sleep(0.4)', values: [] }));
    await setTimeout(100);
    const { text } = await local.api.get('/metrics').expect(200);
    await Promise.all(asleep);
    const read = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
    expect(read('database_pool_limit')).toBe(10);
    expect(read('database_pool_connections')).toBe(10);
    expect(read('database_pool_idle')).toBe(0);
    expect(read('database_pool_waiting')).toBeGreaterThanOrEqual(2);
  });
} else {
  test('the embedded database exports no pool metrics', async () => {
    expect((await local.api.get('/metrics')).text).not.toContain('database_pool');
  });
}
