/**
 * `npm run monitoring`: the alerts and the dashboard against a real Prometheus, which scrapes the service under a little
 * load. Every query of the dashboard must return data, every series that an alert asks for must be there. Exits with 1
 * otherwise, with 77 where Prometheus is missing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  alerts,
  dashboard,
  dashboardQueries,
  metricsOf,
  monitoringPath,
  selectorsOf,
} from '../../support/monitoring.mjs';
import { startService } from '../clients/service.mjs';
import { isInstalled, run } from '../lib/program.mjs';
import { crowd, operationsOf, prepareLoad } from './load.mjs';
import { scrapeInterval, startPrometheus, writeConfig } from './prometheus.mjs';
import { startStripe } from './stripe.mjs';

/**
 * @typedef {import('./prometheus.mjs').Prometheus} Prometheus
 * @typedef {import('../clients/service.mjs').Service} Service
 */

/** Milliseconds of load, and between its rounds. */
const duration = 15_000;
const pause = 250;
const maxConnections = 200;

/** Metrics that stay at zero while the service is well, and has run for less than an hour. */
const calm = [
  'http_requests_refused_total',
  'database_pool_waiting',
  'changes_horizon_lag',
  'changes_oldest_writer_seconds',
  'changes_streams',
  'database_worker_failures_total',
  'scheduled_runs_total',
];

/** Whether a metric is of connections or workers, which the embedded database does not have. @param {string} name */
const isOfPool = (name) => /^database_(pool|worker)_/.test(name);
const hasPool = process.env.TEST_DATABASE_URL !== undefined;

/** What Grafana puts in the place of the variables. */
const variables = { job: 'checkout-sessions', instance: '.*', __rate_interval: `${10 * scrapeInterval}s` };

/** @param {string} expression */
const filledIn = (expression) =>
  Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), expression);

let failed = false;

/** Reports a check, which passes without faults. @param {string} name @param {readonly string[]} faults */
function report(name, faults) {
  failed ||= faults.length > 0;
  process.stdout.write(`${name}: ${faults.length === 0 ? 'passed' : 'failed'}\n`);
  for (const fault of faults) process.stdout.write(`  ${fault}\n`);
}

/** Waits until Prometheus has seen what was done until now. @param {Prometheus} prometheus */
async function scraped(prometheus) {
  // An answer is counted a moment after it is read. A scrape has the time when it began.
  const counted = Date.now() / 1000 + 0.2;
  const up = `up{job="${variables.job}"}`;
  const query = `timestamp(${up}) > ${counted} and ${up} == 1`;
  while ((await prometheus.now(query)).length === 0) await setTimeout(100);
}

/**
 * Returns what is wrong with a query of the dashboard.
 *
 * @param {Prometheus} prometheus @param {string} expression @param {number} start
 */
async function faultOf(prometheus, expression, start) {
  const series = await prometheus.range(filledIn(expression), start, Date.now() / 1000);
  const values = series.flatMap((one) => one.values.map(([, value]) => Number(value))).filter(Number.isFinite);
  if (values.length === 0) return 'returns no data';
  const mayBeZero = metricsOf(expression).some((name) => calm.includes(name));
  return mayBeZero || values.some((value) => value !== 0) ? undefined : 'is never anything but zero';
}

/** @param {Prometheus} prometheus @param {number} start */
async function checkDashboard(prometheus, start) {
  const asked = dashboardQueries.filter(({ expr }) => hasPool || !metricsOf(expr).some(isOfPool));
  const faults = [];
  for (const { title, expr } of asked) {
    const fault = await faultOf(prometheus, expr, start).catch((error) => error.message);
    if (fault) faults.push(`${title}: ${filledIn(expr)} ${fault}`);
  }
  const left = dashboardQueries.length - asked.length;
  if (left > 0) process.stdout.write(`${left} queries of the pool are not run: the embedded database has none\n`);
  report(`${asked.length} queries of the dashboard return data`, faults);
}

/** The variables of the dashboard have values to choose from. @param {Prometheus} prometheus */
async function checkVariables(prometheus) {
  const faults = [];
  for (const { name, definition } of dashboard.templating.list) {
    if (!definition) continue;
    const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
    const values = await prometheus.labels(label, filledIn(selector));
    if (values.length === 0) faults.push(`${name}: ${definition} has no values`);
  }
  report('the variables of the dashboard have values', faults);
}

/** @param {Prometheus} prometheus @param {number} start */
async function checkAlerts(prometheus, start) {
  const faults = await prometheus.ruleFaults();
  const selectors = new Set(alerts.flatMap(({ expr }) => selectorsOf(expr)));
  for (const selector of selectors) {
    if (!hasPool && isOfPool(selector)) continue;
    const found = await prometheus.series(selector, start);
    if (found.length === 0) faults.push(`${selector} finds no series`);
  }
  report(`${alerts.length} alerts are evaluated, and find their ${selectors.size} series`, faults);
}

/** @param {Prometheus} prometheus @param {string} url of the service */
async function checkOperations(prometheus, url) {
  const operations = await operationsOf(url);
  const faults = [];
  for (const { method, route } of operations) {
    const selector = `http_request_duration_seconds_count{method="${method}",route="${route}"}`;
    if ((await prometheus.now(selector)).length === 0) faults.push(`${method} ${route} was not seen`);
  }
  report(`${operations.length} operations of the contract are seen by Prometheus`, faults);
}

/** Keeps the service busy. @param {Service} service */
async function load(service) {
  const sendAll = await prepareLoad(service);
  const end = performance.now() + duration;
  for (let round = 1; performance.now() < end; round += 1) {
    await sendAll(round);
    if (round % 10 === 1) await crowd(service.url, maxConnections);
    await setTimeout(pause);
  }
}

/** Begins to stop a service: it is unready, and its metrics are read until it ends. @param {Service} service */
async function becomeUnready({ process: child, url }) {
  child.kill();
  while ((await fetch(`${url}/health/ready`)).ok) await setTimeout(50);
}

/** @param {string} directory */
async function checkAll(directory) {
  await run('promtool', ['check', 'config', '--syntax-only', monitoringPath('prometheus.yaml')]);
  await run('promtool', ['check', 'rules', monitoringPath('alerts.yaml')]);
  process.stdout.write(await run('promtool', ['test', 'rules', monitoringPath('alerts.test.yaml')]));
  const stripe = await startStripe();
  const service = await startService({
    ...{ STRIPE_API_BASE: stripe.url, STRIPE_API_KEYS: 'sk_test_of_the_monitoring' },
    ...{ STRIPE_FETCH_LINE_ITEMS: 'true', CATCH_UP_INTERVAL_MINUTES: '1' },
    ...{ MAX_CONNECTIONS: String(maxConnections), SHUTDOWN_DRAIN_MS: '10000' },
  });
  /** @type {Prometheus | undefined} */
  let prometheus;
  try {
    const config = await writeConfig(directory, service);
    await run('promtool', ['check', 'config', config]);
    const start = Date.now() / 1000;
    prometheus = await startPrometheus(directory, config);
    await load(service);
    await scraped(prometheus);
    await checkOperations(prometheus, service.url);
    await checkVariables(prometheus);
    await checkDashboard(prometheus, start);
    await becomeUnready(service);
    await scraped(prometheus);
    await checkAlerts(prometheus, start);
  } finally {
    await prometheus?.stop();
    service.process.kill('SIGKILL');
    await service.stop();
    stripe.stop();
  }
}

const missing = ['prometheus', 'promtool'].filter((program) => !isInstalled(program));
if (missing.length > 0) {
  process.stdout.write(
    `monitoring: not run because ${missing.join(' and ')} are missing (apt-get install prometheus)\n`,
  );
  process.exitCode = 77;
} else {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-monitoring-'));
  try {
    await checkAll(directory);
  } catch (error) {
    report('monitoring', [error instanceof Error ? error.message : String(error)]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  if (failed) process.exitCode = 1;
}
