/**
 * `npm run streams`: many streams of the change feed and a steady load of writes, on a PostgreSQL of its own. Prints how
 * long a change takes from its commit's trigger to each client. Exits with 1 when a stream lacks a change, gets one twice,
 * or the 99th percentile is over the limit; with 77 when there is no PostgreSQL here.
 */
import { get } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeCluster } from '../lib/cluster.mjs';
import { prepareService } from '../lib/service.mjs';
import { inRun, say } from '../lib/tool.mjs';
import { startChanges } from './changes.mjs';

/** @typedef {import('../lib/service.mjs').Service} Service */

/** @param {string[]} args */
function readOptions(args) {
  const options = /** @type {const} */ ({
    streams: { type: 'string', default: '500' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '20' },
    limit: { type: 'string', default: '1000' },
  });
  const { values } = parseArgs({ args, options });
  const [streams = 0, rate = 0, seconds = 0, limit = 0] = ['streams', 'rate', 'seconds', 'limit'].map((name) =>
    Number(values[/** @type {keyof typeof values} */ (name)]),
  );
  if (!(streams >= 1 && rate >= 1 && seconds >= 1 && limit >= 1)) {
    throw new Error('--streams, --rate (writes a second), --seconds and --limit (ms at p99) take numbers from 1 on');
  }
  return { streams, rate, seconds, limit };
}

/** Every so many streams one notes the delay of each change; the others count. */
const sampled = 10;
/** Milliseconds in which the last changes must arrive. */
const patience = 15_000;

const mark = Buffer.from('\nevent: ');
const idMark = Buffer.from('id: ');

/**
 * A client of the feed: counts what arrives, by the bytes, as parsing would take longer than sending.
 *
 * @param {Service} service @param {number[] | undefined} delays where to note them, in milliseconds
 */
function openStream({ port, key }, delays) {
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${key}` };
  const client = { changes: 0, isOpen: false, close: () => {} };
  const asked = get({ port, host: '127.0.0.1', path: '/api/changes?cursor=now', headers, agent: false }, (response) => {
    response.on('data', (/** @type {Buffer} */ chunk) => {
      client.isOpen = true;
      const now = delays && Date.now();
      for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) {
        client.changes += 1;
        if (delays && now) delays.push(now - loggedAt(chunk, at));
      }
    });
    response.on('error', () => {});
  });
  asked.on('error', () => {});
  client.close = () => void asked.destroy();
  return client;
}

/** When a change was logged, in milliseconds: its stamp is in the cursor. @param {Buffer} chunk @param {number} end of its id */
function loggedAt(chunk, end) {
  const start = chunk.lastIndexOf(idMark, end) + idMark.length;
  const [, stamp] = Buffer.from(chunk.toString('latin1', start, end), 'base64url')
    .toString('latin1')
    .split('.');
  return Number(stamp) / 1000;
}

/** @param {readonly number[]} sorted @param {number} share */
const percentile = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

await inRun(readOptions, async (directory, { streams, rate, seconds, limit }) => {
  const cluster = makeCluster(directory);
  /** @type {Service | undefined} */
  let service;
  try {
    await cluster.start();
    const variables = { DATABASE_URL: cluster.urlOf('postgres'), DATABASE_STATEMENT_TIMEOUT_MS: '5000' };
    service = await prepareService(directory, variables);
    service.begin();
    await service.ready();
    const running = service;
    /** @type {number[]} */
    const delays = [];
    const clients = Array.from({ length: streams }, (_, index) =>
      openStream(running, index % sampled === 0 ? delays : undefined),
    );
    while (clients.some(({ isOpen }) => !isOpen)) await setTimeout(20);
    const load = startChanges(service, rate);
    await setTimeout(seconds * 1000);
    await load.stop();
    const logged = async () =>
      (
        await cluster.connected('postgres', (client) =>
          client.query('SELECT count(*)::int AS count FROM checkout_session_change'),
        )
      ).rows[0].count;
    const changes = await logged();
    const end = performance.now() + patience;
    while (clients.some((client) => client.changes < changes) && performance.now() < end) await setTimeout(50);
    const wrong = clients.filter((client) => client.changes !== changes).length;
    for (const client of clients) client.close();
    delays.sort((one, other) => one - other);
    const [p50, p99] = [percentile(delays, 0.5), percentile(delays, 0.99)];
    say(
      `${streams} streams, ${Math.round(changes / seconds)} changes a second (${changes} in all), ${wrong} streams with another ` +
        `number; delay p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, at most ${percentile(delays, 1).toFixed(0)} ms`,
    );
    for (const failure of load.failures) say(`FAILED: ${failure}`);
    if (p99 > limit) say(`FAILED: p99 is over ${limit} ms`);
    return wrong === 0 && load.failures.length === 0 && p99 <= limit;
  } finally {
    await service?.end('SIGKILL');
    await cluster.stop('SIGQUIT');
  }
});
