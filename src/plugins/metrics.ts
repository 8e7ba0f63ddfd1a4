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

/** Seconds. From a read that comes out of a batch to the statement timeout. */
const durations = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const batchSizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Why a request was turned away before its handler. */
export type Refusal = 'overloaded' | 'rate-limited';

type Reading = number | undefined | Promise<number | undefined>;

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * What an operator sees of one service, for Prometheus. Labels take few values: route templates, statuses, types of
 * events; never an id.
 */
export function createMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  collectDefaultMetrics({ register: registry });
  const requests = registerHistogram(registry, {
    name: 'http_request_duration_seconds',
    help: 'Requests answered, by the template of their route.',
    buckets: durations,
  });
  const batches = registerHistogram(registry, {
    name: 'database_batch_size',
    help: 'Requests that one statement served.',
    buckets: batchSizes,
  });
  const deliveries = new Counter({
    name: 'stripe_webhook_events_total',
    help: "Deliveries of Stripe's, by type of event and by what was done.",
    labelNames: ['type', 'outcome'],
    registers,
  });
  const lineItems = new Counter({
    name: 'stripe_line_items_fetches_total',
    help: 'Sessions asked for their line items in the background, by what was done.',
    labelNames: ['outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'http_requests_refused_total',
    help: 'Requests turned away to protect the service.',
    labelNames: ['reason'],
    registers,
  });
  const runs = new Counter({
    name: 'scheduled_runs_total',
    help: 'Runs of what the process does by itself, by work and by outcome.',
    labelNames: ['work', 'outcome'],
    registers,
  });
  // From 0 on, as an increase from nothing is none.
  for (const work of scheduledWork) for (const outcome of ['done', 'failed']) runs.inc({ work, outcome }, 0);
  new Gauge({
    name: 'checkout_session_build_info',
    help: 'The version that runs: always 1.',
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

    /** A request that was answered. `route` is its template; `seconds` how long it took. */
    observeRequest(method: string, route: string, status: number, seconds: number): void {
      seriesOf(route)(method)(status).observe(seconds);
    },

    /** How many requests one statement of a kind served. */
    observeBatch(kind: string, size: number): void {
      batchesOf(kind).observe(size);
    },

    /** A delivery of Stripe's. `type` is one of few. */
    countDelivery(type: string, outcome: string): void {
      deliveries.inc({ type, outcome });
    },

    /** A run of what the process does by itself. */
    countRun(work: ScheduledWork, outcome: 'done' | 'failed'): void {
      runs.inc({ work, outcome });
    },

    /** A session that was asked for its line items. */
    countLineItems(outcome: string): void {
      lineItems.inc({ outcome });
    },

    countRefusal(reason: Refusal): void {
      refusals.inc({ reason });
    },

    /** A value that is read when the metrics are asked for; NaN where it is not known. */
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

    /** Makes a counter with one label, of which each value counts from 0 on. */
    labelled<Value extends string>(name: string, help: string, label: string, values: readonly Value[]) {
      const counter = new Counter({ name, help, labelNames: [label], registers });
      for (const value of values) counter.inc({ [label]: value }, 0);
      return (value: Value, count: number): void => counter.inc({ [label]: value }, count);
    },

    /** A count that is kept elsewhere, and read when the metrics are asked for. */
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

/** Measures every request; the rest is read when the metrics are asked for. */
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
    // What is no route has no template, and its methods and paths are the client's to invent.
    const route = request.routeOptions.url ?? 'none';
    const method = methods.includes(request.method) ? request.method : 'other';
    metrics.observeRequest(method, route, status, (request.answeredAfter ?? reply.elapsedTime) / 1000);
  });
  metrics.gauge('http_requests_in_flight', 'Requests that are not answered yet.', () => inFlight);
}

function measureConnections({ server }: FastifyInstance, metrics: Metrics): void {
  const open = () =>
    new Promise<number | undefined>((resolve) => {
      server.getConnections((error, count) => resolve(error ? undefined : count));
    });
  metrics.gauge('http_connections', 'Connections of clients.', open);
  let dropped = 0;
  server.on('drop', () => {
    dropped += 1;
  });
  metrics.counter('http_connections_dropped_total', 'Connections refused, as there were too many.', () => dropped);
}

function measureDatabase({ metrics, database }: MetricsOptions): void {
  const writable = () => inTime(ping(database).then((condition) => Number(condition.writable)));
  metrics.gauge('database_writable', 'Whether the database takes writes: 1, or 0 where it only reads.', writable);
  if (database.workerFailures) {
    const help = 'Statements that failed because a worker of Citus did.';
    metrics.counter('database_worker_failures_total', help, database.workerFailures);
  }
  // The embedded database has no connections.
  if (!database.pool) return;
  const { pool } = database;
  metrics.gauge('database_pool_limit', 'Connections to the database at most.', () => pool().limit);
  metrics.gauge('database_pool_connections', 'Connections to the database.', () => pool().size);
  metrics.gauge('database_pool_idle', 'Connections to the database that nothing uses.', () => pool().idle);
  metrics.gauge('database_pool_waiting', 'Statements that wait for a connection.', () => pool().waiting);
}

/** Milliseconds that the metrics wait for the database: without it they are wanted all the more. */
const databaseTimeout = 1000;

/** Resolves to a reading of the database, undefined where it fails or is late. */
export function inTime(reading: Promise<number | undefined>): Promise<number | undefined> {
  return Promise.race([reading.catch(() => undefined), setTimeout(databaseTimeout, undefined, { ref: false })]);
}

function measureStripe({ metrics, config, events, ingest }: MetricsOptions): void {
  const endpoints = () => config.STRIPE_WEBHOOK_SECRETS.length;
  metrics.gauge('stripe_webhook_endpoints', 'Webhook endpoints whose deliveries are taken.', endpoints);
  const age = () => inTime(events.newestAge());
  metrics.gauge('stripe_last_event_age_seconds', 'Since the newest event in the ledger was received.', age);
  const projected = 'States from Stripe with something that the contract cannot hold, such as a new value of an enum.';
  metrics.counter('stripe_projected_total', projected, () => ingest.counts.projected);
  metrics.counter('stripe_ignored_total', 'What came from Stripe and is not mirrored.', () => ingest.counts.ignored);
}
