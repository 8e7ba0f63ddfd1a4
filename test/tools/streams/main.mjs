/** `npm run streams`: see the help below. */
import { get } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withServiceOnCluster } from '../lib/cluster.mjs';
import { wholeNumber } from '../lib/options.mjs';
import { runTool, say } from '../lib/tool.mjs';
import { startChanges } from './changes.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../lib/cluster.mjs').Cluster} Cluster
 */

const help = `Usage: npm run streams -- [options]

Opens many streams of the change feed under a steady load of writes, on a PostgreSQL server of its own. Prints the time
from the log entry of a change to its arrival at a client.

  --streams 500   of the change feed
  --rate 100      writes per second
  --seconds 20    of load
  --limit 1000    milliseconds that 99% of the changes may take

Exits with 1 when a stream lacks or repeats a change, a write fails, or the time is over the limit; with 77 when this
machine has no PostgreSQL server.
`;

/** @param {string[]} args */
function readOptions(args) {
  const options = /** @type {const} */ ({
    streams: { type: 'string', default: '500' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '20' },
    limit: { type: 'string', default: '1000' },
  });
  const { values } = parseArgs({ args, options });
  return {
    streams: wholeNumber('streams', values.streams),
    rate: wholeNumber('rate', values.rate),
    seconds: wholeNumber('seconds', values.seconds),
    limit: wholeNumber('limit', values.limit),
  };
}

/** One stream in ten records the delay of each change. The others only count the changes. */
const sampling = 10;
/** Milliseconds in which the last changes must arrive. */
const arrivalLimit = 15_000;

const eventMark = Buffer.from('\nevent: ');
const idMark = Buffer.from('id: ');

/**
 * Opens a stream that counts the changes in the bytes: parsing 500 streams would take longer than sending them.
 *
 * @param {Service} service @param {number[] | undefined} delays where to record the delays, in milliseconds
 */
function openStream({ port, key }, delays) {
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${key}` };
  const stream = { changes: 0, isOpen: false, close: () => {} };
  const path = '/api/changes?cursor=now';
  const sent = get({ port, host: '127.0.0.1', path, headers, agent: false }, (response) => {
    response.on('data', (/** @type {Buffer} */ chunk) => {
      stream.isOpen = true;
      const now = delays && Date.now();
      for (let at = chunk.indexOf(eventMark); at >= 0; at = chunk.indexOf(eventMark, at + 1)) {
        stream.changes += 1;
        if (delays && now) delays.push(now - loggedAt(chunk, at));
      }
    });
    response.on('error', () => {});
  });
  sent.on('error', () => {});
  stream.close = () => void sent.destroy();
  return stream;
}

/**
 * Returns the time of a change's log entry in milliseconds, from its id.
 *
 * @param {Buffer} chunk @param {number} end of the id
 */
function loggedAt(chunk, end) {
  const start = chunk.lastIndexOf(idMark, end) + idMark.length;
  const [, microseconds] = Buffer.from(chunk.toString('latin1', start, end), 'base64url')
    .toString('latin1')
    .split('.');
  return Number(microseconds) / 1000;
}

/** @param {readonly number[]} sorted @param {number} share */
const percentile = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** Returns the number of changes in the log. @param {Cluster} cluster @returns {Promise<number>} */
async function countChanges(cluster) {
  const text = 'SELECT count(*)::int AS count FROM checkout_session_change';
  const { rows } = await cluster.connected('postgres', (client) => client.query(text));
  return rows[0].count;
}

/** @param {Service} service @param {Cluster} cluster @param {ReturnType<typeof readOptions>} options */
async function measure(service, cluster, { streams: count, rate, seconds, limit }) {
  /** @type {number[]} */
  const delays = [];
  const streams = Array.from({ length: count }, (_, index) =>
    openStream(service, index % sampling === 0 ? delays : undefined),
  );
  while (streams.some(({ isOpen }) => !isOpen)) await setTimeout(20);
  const load = startChanges(service, rate);
  await setTimeout(seconds * 1000);
  await load.stop();
  const logged = await countChanges(cluster);
  const end = performance.now() + arrivalLimit;
  while (streams.some(({ changes }) => changes < logged) && performance.now() < end) await setTimeout(50);
  const wrong = streams.filter(({ changes }) => changes !== logged).length;
  for (const stream of streams) stream.close();
  delays.sort((one, other) => one - other);
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentile(delays, share));
  say(
    `${count} streams, ${Math.round(logged / seconds)} changes a second (${logged} in all), ${wrong} streams with another ` +
      `number; delay p50 ${p50?.toFixed(0)} ms, p99 ${p99?.toFixed(0)} ms, at most ${most?.toFixed(0)} ms`,
  );
  for (const failure of load.failures) say(`FAILED: ${failure}`);
  const isFast = p99 !== undefined && p99 <= limit;
  if (!isFast) say(`FAILED: p99 is over ${limit} ms`);
  return wrong === 0 && load.failures.length === 0 && isFast;
}

await runTool(help, readOptions, (options, directory) =>
  withServiceOnCluster(directory, { DATABASE_STATEMENT_TIMEOUT_MS: '5000' }, (service, cluster) =>
    measure(service, cluster, options),
  ),
);
