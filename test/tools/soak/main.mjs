/**
 * `npm run soak`: a mixed load for minutes on end, on a PostgreSQL of its own. Exits with 1 when memory grows
 * steadily, the event loop gets later and later, connections or descriptors are left behind, or a request fails; with
 * 77 when there is no PostgreSQL here.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeCluster } from '../lib/cluster.mjs';
import { prepareService } from '../lib/service.mjs';
import { inRun, say } from '../lib/tool.mjs';
import { startLoad } from './load.mjs';
import { takeSample, trendOf } from './samples.mjs';

/**
 * @typedef {import('./samples.mjs').Sample} Sample
 * @typedef {import('../lib/service.mjs').Service} Service
 */

/** Milliseconds between samples, and samples of which the lowest counts. */
const interval = 5000;
const window = 4;
/** Milliseconds after which the pool has let its idle connections go, as it had before. */
const settling = 15_000;
/** The part of the time in which memory may still grow to its size. */
const warmUp = 0.3;
/** Megabytes a minute: at 300 requests a second the second is some 60 bytes of each. */
const growth = { resident: 4, old: 1 };
/** Milliseconds a minute. */
const slowing = 5;

/** @param {string[]} args @throws what is wrong with them */
function readOptions(args) {
  const options = /** @type {const} */ ({
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '300' },
  });
  const { values } = parseArgs({ args, options });
  const [minutes, rate] = [Number(values.minutes), Number(values.rate)];
  if (!(minutes >= 1 && rate > 0)) throw new Error('--minutes takes a number from 1 on, --rate requests per second');
  return { minutes, rate };
}

/** @param {Sample} sample */
function show({ minutes, resident, heap, old, delay, clients, pool, waiting, descriptors, resources }) {
  const whole = (/** @type {number} */ number) => String(Math.round(number)).padStart(4);
  say(
    `${minutes.toFixed(1).padStart(5)} min  resident ${whole(resident)} MB  heap ${whole(heap)} MB  old ${whole(old)} MB  ` +
      `delay p99 ${whole(delay)} ms  clients ${whole(clients)}  pool ${whole(pool)}  waiting ${whole(waiting)}  ` +
      `descriptors ${whole(descriptors)}  resources ${whole(resources)}`,
  );
}

/** @param {Service} service @param {number} duration milliseconds @param {number} began @returns {Promise<Sample[]>} */
async function watch({ port, key }, duration, began) {
  const samples = [];
  while (performance.now() - began < duration) {
    await setTimeout(interval);
    samples.push(await takeSample(port, key, began));
    if (samples.length % 6 === 0) show(/** @type {Sample} */ (samples.at(-1)));
  }
  return samples;
}

/** @param {readonly Sample[]} samples @returns {string[]} what grows */
function judgeTrends(samples) {
  const settled = samples.slice(Math.floor(samples.length * warmUp));
  const limits = /** @type {const} */ ([
    ['resident', 'MB', growth.resident],
    ['heap', 'MB', Number.POSITIVE_INFINITY],
    ['old', 'MB', growth.old],
    ['delay', 'ms', slowing],
  ]);
  return limits.flatMap(([name, unit, limit]) => {
    const { first, last, perMinute } = trendOf(settled, name, window);
    const line = `${name}: ${first.toFixed(1)} to ${last.toFixed(1)} ${unit}, ${perMinute.toFixed(2)} a minute`;
    say(line);
    return perMinute > limit ? [`${line}, over ${limit}`] : [];
  });
}

/**
 * @param {Sample} idle before the load @param {Sample} after it
 * @param {number} connections that the database counts @returns {string[]} what is left behind
 */
function judgeRemains(idle, after, connections) {
  say(`connections of the service that PostgreSQL counts: ${connections}`);
  /** @type {[string, number, number][]} what there is, and at most may be */
  const remains = [
    // The sample's own: it asks the database after it has looked at the pool.
    ['connections of clients', after.clients, 1],
    ['requests in flight', after.inFlight, 1],
    ['statements that wait', after.waiting, 0],
    ['connections to the database', connections, after.pool + 1],
    ['descriptors', after.descriptors - (after.pool - idle.pool), idle.descriptors + 2],
    ['resources', after.resources - (after.pool - idle.pool), idle.resources + 2],
  ];
  return remains.flatMap(([name, count, most]) => (count > most ? [`${count} ${name} are left, over ${most}`] : []));
}

await inRun(readOptions, async (directory, { minutes, rate }) => {
  const cluster = makeCluster(directory);
  /** @type {Service | undefined} */
  let service;
  try {
    await cluster.start();
    const variables = { DATABASE_URL: cluster.urlOf('postgres'), DATABASE_STATEMENT_TIMEOUT_MS: '5000' };
    service = await prepareService(directory, variables);
    service.begin();
    await service.ready();
    const { port, key } = service;
    const began = performance.now();
    // The first of a process loads what later ones find.
    await takeSample(port, key, began);
    const idle = await takeSample(port, key, began);
    show(idle);
    const load = startLoad(service, rate);
    const samples = await watch(service, minutes * 60_000, began);
    await load.stop();
    await setTimeout(settling);
    const after = await takeSample(port, key, began);
    show(after);
    const { rows } = await cluster.connected('postgres', (client) =>
      client.query(`SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'checkout-session-service'`),
    );
    const failures = [...judgeTrends(samples), ...judgeRemains(idle, after, rows[0].count), ...load.failures];
    if (/MaxListenersExceededWarning/.test(service.wholeLog()))
      failures.push('listeners are left behind: see MaxListenersExceededWarning');
    const { requests, failed } = load.counts;
    say(
      `${requests} requests in ${minutes} minutes, ${Math.round(requests / minutes / 60)} a second, ${failed} failed`,
    );
    for (const failure of failures) say(`FAILED: ${failure}`);
    return failures.length === 0 && failed === 0;
  } finally {
    await service?.end('SIGKILL');
    await cluster.stop('SIGQUIT');
  }
});
