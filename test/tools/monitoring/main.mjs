/** `npm run monitoring`: see the help below. */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  alerts,
  dashboard,
  dashboardQueries,
  metricsOf,
  monitoringPath,
  selectorsOf,
} from '../../support/monitoring.mjs';
import { missingOf, run } from '../lib/program.mjs';
import { startService } from '../lib/service.mjs';
import { startStripeApi } from '../lib/stripe-api.mjs';
import { report, runTool, say, Unavailable } from '../lib/tool.mjs';
import { brokenId, crowd, operationsOf, prepareLoad, readSession } from './load.mjs';
import { scrapeInterval, startPrometheus, writeConfig } from './prometheus.mjs';

/**
 * @typedef {import('./prometheus.mjs').Prometheus} Prometheus
 * @typedef {import('../lib/service.mjs').Service} Service
 */

const help = `Usage: npm run monitoring

Runs the tests of the alerts with promtool. Then lets a real Prometheus scrape the service under a small load, and checks
that every query of the dashboard returns data and that every series of an alert exists. Uses the server of
TEST_DATABASE_URL if it is set, else the embedded database, which has no connection pool.

Exits with 1 when a check fails, with 77 when this machine lacks Prometheus.
`;

/** Milliseconds of load. */
const duration = 15_000;
/** Milliseconds between the rounds of the load. */
const pause = 250;
const maxConnections = 200;

/** Metrics that stay at zero in a healthy service during its first hour. */
const zeroWhenHealthy = [
  'http_requests_refused_total',
  'database_pool_waiting',
  'changes_horizon_lag',
  'changes_oldest_writer_seconds',
  'changes_streams',
  'database_worker_failures_total',
  'scheduled_runs_total',
];

/** Whether a metric describes connections or workers, which the embedded database lacks. @param {string} name */
const isOfServer = (name) => /^database_(pool|worker)_/.test(name);
const onServer = process.env.TEST_DATABASE_URL !== undefined;

/** The values that Grafana puts in place of the dashboard's variables. */
const variables = { job: 'checkout-sessions', instance: '.*', __rate_interval: `${10 * scrapeInterval}s` };

/** @param {string} expression */
const filledIn = (expression) =>
  Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), expression);

/** Waits until Prometheus has scraped everything that happened until now. @param {Prometheus} prometheus */
async function scraped(prometheus) {
  // The service counts a request a moment after the client has the answer. The time of a scrape is that of its start.
  const counted = Date.now() / 1000 + 0.2;
  const up = `up{job="${variables.job}"}`;
  const expression = `timestamp(${up}) > ${counted} and ${up} == 1`;
  while ((await prometheus.now(expression)).length === 0) await setTimeout(100);
}

/**
 * Returns the flaw of a dashboard query, if it has one.
 *
 * @param {Prometheus} prometheus @param {string} expression @param {number} start
 */
async function flawOf(prometheus, expression, start) {
  const series = await prometheus.range(filledIn(expression), start, Date.now() / 1000);
  const values = series.flatMap((one) => one.values.map(([, value]) => Number(value))).filter(Number.isFinite);
  if (values.length === 0) return 'returns no data';
  const mayBeZero = metricsOf(expression).some((name) => zeroWhenHealthy.includes(name));
  return mayBeZero || values.some((value) => value !== 0) ? undefined : 'is always zero';
}

/** @typedef {[name: string, failures: string[]]} Result of a check */

/** @param {Prometheus} prometheus @param {number} start @returns {Promise<Result>} */
async function checkDashboard(prometheus, start) {
  const queries = dashboardQueries.filter(({ expr }) => onServer || !metricsOf(expr).some(isOfServer));
  const failures = [];
  for (const { title, expr } of queries) {
    const flaw = await flawOf(prometheus, expr, start).catch((error) => error.message);
    if (flaw) failures.push(`${title}: ${filledIn(expr)} ${flaw}`);
  }
  const skipped = dashboardQueries.length - queries.length;
  if (skipped > 0) say(`skipped ${skipped} queries of the connection pool, which the embedded database lacks`);
  return [`${queries.length} queries of the dashboard return data`, failures];
}

/** @param {Prometheus} prometheus @returns {Promise<Result>} */
async function checkVariables(prometheus) {
  const failures = [];
  for (const { name, definition } of dashboard.templating.list) {
    if (!definition) continue;
    const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
    const values = await prometheus.labels(label, filledIn(selector));
    if (values.length === 0) failures.push(`${name}: ${definition} has no values`);
  }
  return ['the variables of the dashboard have values', failures];
}

/**
 * Checks that no latency includes the change feed: its requests wait for a change, for up to 50 seconds.
 *
 * @param {Prometheus} prometheus @param {number} start @returns {Promise<Result>}
 */
async function checkLatencies(prometheus, start) {
  const failures = [];
  const queries = dashboardQueries.filter(({ expr }) => expr.includes('http_request_duration_seconds_bucket'));
  for (const { title, expr } of queries) {
    for (const selector of selectorsOf(filledIn(expr))) {
      const ofFeed = selector.replace(/}$/, ',route="/api/changes"}');
      if ((await prometheus.series(ofFeed, start)).length > 0)
        failures.push(`${title}: ${selector} includes the change feed`);
    }
  }
  return [`${queries.length} latencies of the dashboard leave out requests that wait`, failures];
}

/** @param {Prometheus} prometheus @param {number} start @returns {Promise<Result>} */
async function checkAlerts(prometheus, start) {
  const failures = await prometheus.ruleErrors();
  const selectors = new Set(alerts.flatMap(({ expr }) => selectorsOf(expr)));
  for (const selector of selectors) {
    if (!onServer && isOfServer(selector)) continue;
    const found = await prometheus.series(selector, start);
    if (found.length === 0) failures.push(`${selector} finds no series`);
  }
  return [`${alerts.length} alerts are evaluated and find their ${selectors.size} series`, failures];
}

/** @param {Prometheus} prometheus @param {string} url of the service @returns {Promise<Result>} */
async function checkOperations(prometheus, url) {
  const operations = await operationsOf(url);
  const failures = [];
  for (const { method, route } of operations) {
    const selector = `http_request_duration_seconds_count{method="${method}",route="${route}"}`;
    if ((await prometheus.now(selector)).length === 0) failures.push(`${method} ${route} has no series`);
  }
  return [`Prometheus sees the ${operations.length} operations of the contract`, failures];
}

/** Keeps the service busy. @param {Service} service */
async function load(service) {
  const sendAll = await prepareLoad(service);
  const end = performance.now() + duration;
  for (let round = 1; performance.now() < end; round += 1) {
    await sendAll(round);
    if (round % 4 === 0) await crowd(service.url, maxConnections);
    await setTimeout(pause);
  }
}

/**
 * Begins to stop a service. It is not ready from then on, and serves its metrics until it ends.
 *
 * @param {Service} service
 */
async function becomeUnready({ kill, url }) {
  kill('SIGTERM');
  while ((await fetch(`${url}/health/ready`)).ok) await setTimeout(50);
}

/** @param {Service} service @param {string} directory @returns {Promise<Result[]>} */
async function checkWithPrometheus(service, directory) {
  const config = await writeConfig(directory, service);
  await run('promtool', ['check', 'config', config]);
  const start = Date.now() / 1000;
  const prometheus = await startPrometheus(directory, config);
  try {
    await load(service);
    await scraped(prometheus);
    const results = [
      await checkOperations(prometheus, service.url),
      await checkVariables(prometheus),
      await checkDashboard(prometheus, start),
      await checkLatencies(prometheus, start),
    ];
    await becomeUnready(service);
    await scraped(prometheus);
    return [...results, await checkAlerts(prometheus, start)];
  } finally {
    await prometheus.stop();
  }
}

await runTool(
  help,
  (args) => parseArgs({ args, options: {} }),
  async (_, directory) => {
    const missing = missingOf(['prometheus', 'promtool']);
    if (missing.length > 0) {
      throw new Unavailable(`this machine lacks ${missing.join(' and ')}: apt-get install prometheus`);
    }
    await run('promtool', ['check', 'config', '--syntax-only', monitoringPath('prometheus.yaml')]);
    await run('promtool', ['check', 'rules', monitoringPath('alerts.yaml')]);
    say(await run('promtool', ['test', 'rules', monitoringPath('alerts.test.yaml')]));
    const stripe = await startStripeApi({ find: readSession, brokenId });
    const service = await startService({
      ...{ ...stripe.settings, STRIPE_FETCH_LINE_ITEMS: 'true', CATCH_UP_INTERVAL_MINUTES: '1' },
      ...{ MAX_CONNECTIONS: String(maxConnections), SHUTDOWN_DRAIN_MS: '10000' },
    });
    try {
      const results = await checkWithPrometheus(service, directory);
      for (const [name, failures] of results) report(name, failures);
      return results.every(([, failures]) => failures.length === 0);
    } finally {
      await service.end('SIGKILL');
      await service.stop();
      stripe.stop();
    }
  },
);
