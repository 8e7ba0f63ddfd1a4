import { setTimeout } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Config } from '../config.js';
import { type Database, ping } from '../database/engine/database.js';
import type { StripeEventStore } from '../database/events.js';
import type { Ingest } from '../stripe/ingest.js';
import { type ScheduledWork, scheduledWork } from '../stripe/schedule.js';
import { version } from '../version.js';
import { registerHistogram } from './histogram.js';
import { onRequestEnd } from './request-end.js';

/** Seconds, from a read in a batch up to beyond the default statement timeout. */
const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const batchSizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** The reason to refuse a request before its handler. */
export type Refusal = 'overloaded' | 'rate-limited';

type Reading = number | undefined | Promise<number | undefined>;

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Creates the metrics of one service, for Prometheus. Labels have few values: route templates, statuses, event types, and
 * never an id.
 */
export function createMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  collectDefaultMetrics({ register: registry });
  const requests = registerHistogram(registry, {
    name: 'http_request_duration_seconds',
    help: 'Duration of requests, by the template of their route.',
    buckets: durations,
  });
  const batches = registerHistogram(registry, {
    name: 'database_batch_size',
    help: 'Requests that one statement served.',
    buckets: batchSizes,
  });
  const deliveries = new Counter({
    name: 'stripe_webhook_events_total',
    help: 'Deliveries from Stripe, by event type and outcome.',
    labelNames: ['type', 'outcome'],
    registers,
  });
  const lineItems = new Counter({
    name: 'stripe_line_items_fetches_total',
    help: 'Background fetches of line items, by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'http_requests_refused_total',
    help: 'Requests refused to protect the service, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const runs = new Counter({
    name: 'scheduled_runs_total',
    help: 'Runs of scheduled work, by work and outcome.',
    labelNames: ['work', 'outcome'],
    registers,
  });
  // Start these series at 0: Prometheus sees no increase in a series that starts at 1. The series of deliveries and line items
  // start at their first count.
  for (const work of scheduledWork) for (const outcome of ['done', 'failed']) runs.inc({ work, outcome }, 0);
  new Gauge({
    name: 'checkout_session_build_info',
    help: 'The running version, as a label. The value is always 1.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  for (const reason of ['overloaded', 'rate-limited'] satisfies Refusal[]) refusals.inc({ reason }, 0);

  const seriesOf = memoized((route: string) =>
    memoized((method: string) => memoized((status: number) => requests({ method, route, status: String(status) }))),
  );
  const batchesOf = memoized((kind: string) => batches({ kind }));

  return {
    registry,

    /** Records an answered request. `route` is the template of its path. */
    observeRequest(method: string, route: string, status: number, seconds: number): void {
      seriesOf(route)(method)(status).observe(seconds);
    },

    /** Records how many requests one statement served. */
    observeBatch(kind: string, size: number): void {
      batchesOf(kind).observe(size);
    },

    /** Counts a delivery from Stripe. `type` has few values. */
    countDelivery(type: string, outcome: string): void {
      deliveries.inc({ type, outcome });
    },

    /** Counts a run of scheduled work. */
    countRun(work: ScheduledWork, outcome: 'done' | 'failed'): void {
      runs.inc({ work, outcome });
    },

    /** Counts a background fetch of a session's line items. */
    countLineItems(outcome: string): void {
      lineItems.inc({ outcome });
    },

    countRefusal(reason: Refusal): void {
      refusals.inc({ reason });
    },

    /** Registers a gauge that is read at each scrape. It is NaN where the value is unknown. */
    gauge(name: string, help: string, read: () => Reading): void {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set((await read()) ?? Number.NaN);
        },
      });
    },

    /** Registers a counter with one label and starts each of its values at 0. Returns the increment. */
    labelledCounter<Value extends string>(name: string, help: string, label: string, values: readonly Value[]) {
      const counter = new Counter({ name, help, labelNames: [label], registers });
      for (const value of values) counter.inc({ [label]: value }, 0);
      return (value: Value, count: number): void => counter.inc({ [label]: value }, count);
    },

    /** Registers a counter whose value is read at each scrape. */
    counter(name: string, help: string, read: () => number): void {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    },
  };
}

function memoized<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const made = new Map<Key, Value>();
  return (key) => {
    let value = made.get(key);
    if (value === undefined) {
      value = make(key);
      made.set(key, value);
    }
    return value;
  };
}

export interface MetricsOptions {
  metrics: Metrics;
  config: Pick<Config, 'STRIPE_WEBHOOK_SECRETS'>;
  database: Database;
  events: StripeEventStore;
  ingest: Ingest;
}

/** Measures every request. Other metrics are read at each scrape. */
export default fastifyPlugin((app: FastifyInstance, options: MetricsOptions, done) => {
  measureRequests(app, options.metrics);
  measureConnections(app, options.metrics);
  measureDatabase(options);
  measureStripe(options);
  done();
});

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

function measureRequests(app: FastifyInstance, metrics: Metrics): void {
  let inFlight = 0;
  app.addHook('onRequest', (_request, _reply, next) => {
    inFlight += 1;
    next();
  });
  onRequestEnd(app, (request, reply, status) => {
    inFlight -= 1;
    // Unknown paths and methods share one label each: clients could invent any number of them.
    const route = request.routeOptions.url ?? 'none';
    const method = methods.includes(request.method) ? request.method : 'other';
    metrics.observeRequest(method, route, status, (request.answeredAfter ?? reply.elapsedTime) / 1000);
  });
  metrics.gauge('http_requests_in_flight', 'Requests without a response so far.', () => inFlight);
}

function measureConnections({ server }: FastifyInstance, metrics: Metrics): void {
  const open = () =>
    new Promise<number | undefined>((resolve) => {
      server.getConnections((error, count) => resolve(error ? undefined : count));
    });
  metrics.gauge('http_connections', 'Open connections of clients.', open);
  let dropped = 0;
  server.on('drop', () => {
    dropped += 1;
  });
  metrics.counter('http_connections_dropped_total', 'Connections refused because of MAX_CONNECTIONS.', () => dropped);
}

function measureDatabase({ metrics, database }: MetricsOptions): void {
  const writable = () => inTime(ping(database).then((condition) => Number(condition.writable)));
  metrics.gauge('database_writable', '1 when the database accepts writes, 0 when it is read-only.', writable);
  if (database.workerFailures) {
    const help = 'Statements that failed because a worker of Citus failed.';
    metrics.counter('database_worker_failures_total', help, database.workerFailures);
  }
  // The embedded database has no pool.
  if (!database.pool) return;
  const { pool } = database;
  metrics.gauge('database_pool_limit', 'Limit of connections to the database.', () => pool().limit);
  metrics.gauge('database_pool_connections', 'Open connections to the database.', () => pool().size);
  metrics.gauge('database_pool_idle', 'Idle connections to the database.', () => pool().idle);
  metrics.gauge(
    'database_pool_waiting',
    'Statements that wait for a connection to the database.',
    () => pool().waiting,
  );
}

/** Milliseconds that a scrape waits for the database. Operators need the other metrics most when the database is down. */
const databaseTimeout = 1000;

/** Resolves to a value from the database. Resolves to undefined if the query fails or takes over a second. */
export function inTime(reading: Promise<number | undefined>): Promise<number | undefined> {
  return Promise.race([reading.catch(() => undefined), setTimeout(databaseTimeout, undefined, { ref: false })]);
}

function measureStripe({ metrics, config, events, ingest }: MetricsOptions): void {
  const endpoints = () => config.STRIPE_WEBHOOK_SECRETS.length;
  metrics.gauge('stripe_webhook_endpoints', 'Webhook endpoints that the service accepts deliveries from.', endpoints);
  const age = () => inTime(events.newestAge());
  metrics.gauge('stripe_last_event_age_seconds', 'Seconds since the newest event in the ledger was received.', age);
  const projected = 'States from Stripe with a value that the contract cannot hold, such as a new enum value.';
  metrics.counter('stripe_projected_total', projected, () => ingest.counts.projected);
  metrics.counter(
    'stripe_ignored_total',
    'Deliveries and sessions from Stripe that are not mirrored.',
    () => ingest.counts.ignored,
  );
}
