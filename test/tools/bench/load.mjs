/** The load generator, a process of its own: it runs one measurement for each message of its parent. */
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { openConnection } from './connection.mjs';
import { loadMaterial } from './material.mjs';
import { scenarioOf } from './scenarios.mjs';

/**
 * @typedef {object} Job
 * @property {string} scenario
 * @property {string} contender
 * @property {number} port
 * @property {Record<string, string>} headers
 * @property {number} connections
 * @property {number} seconds of the measurement
 * @property {number} warmUp seconds before it
 *
 * @typedef {object} Measured
 * @property {number} rate answers per second
 * @property {number} p50 milliseconds
 * @property {number} p99
 * @property {number} answers
 */

/** Finite requests made in advance, per second of the measurement. A faster service ends the measurement early. */
const finiteRate = 8000;

/** Seconds that the last answers may take. */
const answerLimit = 20;

/** @param {Record<string, string>} [headers] */
function headerLines(headers = {}) {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

/**
 * Returns the bytes of a request on the wire.
 *
 * @param {import('./scenarios.mjs').Request} request @param {string} common
 */
function bytesOf({ method, path, body, payload, headers }, common) {
  const content = payload ?? (body && JSON.stringify(body));
  const start = `${method} ${path} HTTP/1.1\r\n${common}${headerLines(headers)}`;
  if (content === undefined) return `${start}\r\n`;
  const type = headers?.['content-type'] ? '' : 'content-type: application/json\r\n';
  return `${start}${type}content-length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;
}

/**
 * Returns a function that gives one request after the other, and undefined once they are used up.
 *
 * @param {Job} job @param {import('./material.mjs').Material} material
 * @returns {() => string | undefined}
 */
function source({ scenario: name, contender, headers, seconds, warmUp, port }, material) {
  const scenario = scenarioOf(name);
  const next = scenario.requests(material, (position) => material.cursorOf(contender, position));
  const common = headerLines({ host: `127.0.0.1:${port}`, ...headers });
  if (!scenario.finite) return () => bytesOf(next(), common);
  const made = Array.from({ length: Math.ceil((seconds + warmUp) * finiteRate) }, () => bytesOf(next(), common));
  return () => made.pop();
}

/**
 * @param {Job} job @param {() => string | undefined} next
 * @returns {Promise<Measured>} of the answers between the warm-up and the end
 */
async function measure(job, next) {
  const connections = await Promise.all(Array.from({ length: job.connections }, () => openConnection(job.port)));
  const begin = performance.now() + job.warmUp * 1000;
  const window = { begin, end: begin + job.seconds * 1000 };
  const late = new AbortController();
  const lateness = (job.warmUp + job.seconds + answerLimit) * 1000;
  try {
    const latencies = await Promise.race([
      Promise.all(connections.map((connection) => sendUntilEnd(connection, job.scenario, next, window))),
      setTimeout(lateness, undefined, { signal: late.signal }).then(() =>
        Promise.reject(new Error('an answer is missing')),
      ),
    ]);
    return summary(latencies.flat(), (window.end - window.begin) / 1000);
  } finally {
    late.abort();
    for (const connection of connections) connection.close();
  }
}

/**
 * Sends one request after the other until the window ends. The window also ends when the requests are used up.
 *
 * @param {Awaited<ReturnType<typeof openConnection>>} connection @param {string} scenario
 * @param {() => string | undefined} next @param {{ begin: number, end: number }} window
 * @returns {Promise<number[]>} the milliseconds of each answer within the window
 */
async function sendUntilEnd(connection, scenario, next, window) {
  const { statuses } = scenarioOf(scenario);
  const latencies = [];
  let now = performance.now();
  while (now < window.end) {
    const request = next();
    if (request === undefined) {
      window.end = now;
      break;
    }
    const sent = now;
    const { status, text } = await connection.send(request);
    if (!statuses.includes(status)) throw new Error(`the answer is ${text}`);
    now = performance.now();
    if (now >= window.begin && now < window.end) latencies.push(now - sent);
  }
  return latencies;
}

/** @param {number[]} latencies @param {number} seconds @returns {Measured} */
function summary(latencies, seconds) {
  if (latencies.length === 0) throw new Error(`no answer in ${seconds} s`);
  const sorted = Float64Array.from(latencies).sort();
  const percentile = (/** @type {number} */ share) => /** @type {number} */ (sorted[Math.floor(sorted.length * share)]);
  return { answers: sorted.length, rate: sorted.length / seconds, p50: percentile(0.5), p99: percentile(0.99) };
}

const tell = (/** @type {object} */ message) => process.send?.(message);

const material = await loadMaterial(/** @type {string} */ (process.env.DATABASE_URL));
process.on('message', async (/** @type {Job} */ job) => {
  try {
    tell({ measured: await measure(job, source(job, material)) });
  } catch (error) {
    tell({ error: `${job.scenario} of ${job.contender}: ${/** @type {Error} */ (error).message}` });
  }
});
tell({ ready: true });
