/** `npm run soak`: see the help below. */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withServiceOnCluster } from '../lib/cluster.mjs';
import { positiveNumber, wholeNumber } from '../lib/options.mjs';
import { runTool, say } from '../lib/tool.mjs';
import { startLoad } from './load.mjs';
import { takeSample, trendOf } from './samples.mjs';

/**
 * @typedef {import('./samples.mjs').Sample} Sample
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../lib/cluster.mjs').Cluster} Cluster
 */

const help = `Usage: npm run soak -- [options]

Runs a mixed load for minutes on a PostgreSQL server of its own, and watches memory, the event loop, connections and file
descriptors.

  --minutes 10   of load
  --rate 300     requests per second

Exits with 1 when memory grows steadily, the event loop gets slower, connections or descriptors leak, or a request fails;
with 77 when this machine has no PostgreSQL server.
`;

/** Milliseconds between samples. */
const interval = 5000;
/** Samples in a window. Of each window, the lowest sample counts. */
const windowSize = 4;
/** Milliseconds after which the pool has closed its idle connections. */
const idleTime = 15_000;
/** Share of the run in which memory may still grow to its final size. */
const warmUp = 0.3;
/** Megabytes per minute. At 300 requests a second, a leak of 60 bytes per request grows the old space by 1. */
const growthLimits = { resident: 4, old: 1 };
/** Milliseconds per minute. */
const delayLimit = 5;

/** @param {string[]} args */
function readOptions(args) {
  const options = /** @type {const} */ ({
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '300' },
  });
  const { values } = parseArgs({ args, options });
  return { minutes: wholeNumber('minutes', values.minutes), rate: positiveNumber('rate', values.rate) };
}

/** @param {Sample} sample */
function print({ minutes, resident, heap, old, delay, clients, pool, waiting, descriptors, resources }) {
  const whole = (/** @type {number} */ number) => String(Math.round(number)).padStart(4);
  say(
    `${minutes.toFixed(1).padStart(5)} min  resident ${whole(resident)} MB  heap ${whole(heap)} MB  old ${whole(old)} MB  ` +
      `delay p99 ${whole(delay)} ms  clients ${whole(clients)}  pool ${whole(pool)}  waiting ${whole(waiting)}  ` +
      `descriptors ${whole(descriptors)}  resources ${whole(resources)}`,
  );
}

/**
 * Takes samples.
 *
 * @param {Service} service @param {number} duration milliseconds @param {number} began
 * @returns {Promise<Sample[]>}
 */
async function watch(service, duration, began) {
  const samples = [];
  while (performance.now() - began < duration) {
    await setTimeout(interval);
    samples.push(await takeSample(service, began));
    if (samples.length % 6 === 0) print(/** @type {Sample} */ (samples.at(-1)));
  }
  return samples;
}

/** Prints the trends. @param {readonly Sample[]} samples @returns {string[]} the trends over their limits */
function growthOf(samples) {
  const settled = samples.slice(Math.floor(samples.length * warmUp));
  const limits = /** @type {const} */ ([
    ['resident', 'MB', growthLimits.resident],
    ['heap', 'MB', Number.POSITIVE_INFINITY],
    ['old', 'MB', growthLimits.old],
    ['delay', 'ms', delayLimit],
  ]);
  return limits.flatMap(([name, unit, limit]) => {
    const { first, last, perMinute } = trendOf(settled, name, windowSize);
    const line = `${name}: ${first.toFixed(1)} to ${last.toFixed(1)} ${unit}, ${perMinute.toFixed(2)} a minute`;
    say(line);
    return perMinute > limit ? [`${line}, over ${limit}`] : [];
  });
}

/**
 * Compares the service before and after the load.
 *
 * @param {Sample} idle before the load @param {Sample} after the load
 * @param {number} connections of the service, counted by the database @returns {string[]} the leaks
 */
function leaksOf(idle, after, connections) {
  say(`connections of the service that PostgreSQL counts: ${connections}`);
  /** Counts and their limits. The sample itself has one connection and one request in flight. @type {[string, number, number][]} */
  const counts = [
    ['connections of clients', after.clients, 1],
    ['requests in flight', after.inFlight, 1],
    ['waiting statements', after.waiting, 0],
    ['connections to the database', connections, after.pool + 1],
    ['descriptors', after.descriptors - (after.pool - idle.pool), idle.descriptors + 2],
    ['resources', after.resources - (after.pool - idle.pool), idle.resources + 2],
  ];
  return counts.flatMap(([name, count, limit]) => (count > limit ? [`${count} ${name} remain, over ${limit}`] : []));
}

/** @param {Service} service @param {Cluster} cluster @param {ReturnType<typeof readOptions>} options */
async function soak(service, cluster, { minutes, rate }) {
  const began = performance.now();
  // The first sample of a process loads modules, which count as descriptors and memory of later samples.
  await takeSample(service, began);
  const idle = await takeSample(service, began);
  print(idle);
  const load = startLoad(service, rate);
  const samples = await watch(service, minutes * 60_000, began);
  await load.stop();
  await setTimeout(idleTime);
  // Before the sample, whose own statements open connections.
  const { rows } = await cluster.connected('postgres', (client) =>
    client.query(`SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'checkout-session-service'`),
  );
  const after = await takeSample(service, began);
  print(after);
  const failures = [...growthOf(samples), ...leaksOf(idle, after, rows[0].count), ...load.failures];
  if (/MaxListenersExceededWarning/.test(service.log())) failures.push('listeners leak: MaxListenersExceededWarning');
  const { requests, failed } = load.counts;
  say(`${requests} requests in ${minutes} minutes, ${Math.round(requests / minutes / 60)} a second, ${failed} failed`);
  for (const failure of failures) say(`FAILED: ${failure}`);
  return failures.length === 0 && failed === 0;
}

await runTool(help, readOptions, (options, directory) =>
  withServiceOnCluster(directory, { DATABASE_STATEMENT_TIMEOUT_MS: '5000' }, (service, cluster) =>
    soak(service, cluster, options),
  ),
);
