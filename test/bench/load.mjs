/** The process that asks: one measurement for each message of its parent. */
import { performance } from 'node:perf_hooks';
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
 * @property {number} seconds measured
 * @property {number} warmUp seconds before
 *
 * @typedef {object} Measured
 * @property {number} rate answers per second
 * @property {number} p50 milliseconds
 * @property {number} p99
 * @property {number} answers
 * @property {number} cpu of this process, as a share of one core
 */

/** How many finite requests a second are made in advance; a faster service only ends the measurement earlier. */
const finiteRate = 8000;

/** A request as it goes over the wire. @param {import('./scenarios.mjs').Request} request @param {string} common */
function wire({ method, path, body, payload, headers }, common) {
  const content = payload ?? (body && JSON.stringify(body));
  const own = headers
    ? Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')
    : '';
  const start = `${method} ${path} HTTP/1.1\r\n${common}${own}`;
  if (content === undefined) return `${start}\r\n`;
  return `${start}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;
}

/** @param {Job} job @param {import('./material.mjs').Material} material @returns {() => string | undefined} */
function source({ scenario: name, contender, headers, seconds, warmUp, port }, material) {
  const scenario = scenarioOf(name);
  const next = scenario.requests(material, (position) => material.cursorOf(contender, position));
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers });
  const common = lines.map(([header, value]) => `${header}: ${value}\r\n`).join('');
  if (!scenario.finite) return () => wire(next(), common);
  const made = Array.from({ length: Math.ceil((seconds + warmUp) * finiteRate) }, () => wire(next(), common));
  return () => made.pop();
}

/**
 * @param {Job} job @param {() => string | undefined} next
 * @returns {Promise<Measured>} of what was answered between the warm-up and the end
 */
function measure({ scenario, contender, port, connections, seconds, warmUp }, next) {
  const { statuses } = scenarioOf(scenario);
  const begin = performance.now() + warmUp * 1000;
  let end = begin + seconds * 1000;
  let idle = 0;
  /** @type {number[]} */
  const latencies = [];
  /** @type {NodeJS.CpuUsage | undefined} */
  let cpu;
  return new Promise((resolve, reject) => {
    const failed = (/** @type {Error} */ error) => {
      for (const socket of sockets) socket.destroy();
      reject(new Error(`${scenario} of ${contender}: ${error.message}`, { cause: error }));
    };
    const late = setTimeout(() => failed(new Error('an answer is missing')), (warmUp + seconds + 20) * 1000);
    const finish = () => {
      clearTimeout(late);
      if (latencies.length === 0) return failed(new Error(`no answer in ${seconds} s`));
      for (const socket of sockets) socket.destroy();
      const { user, system } = process.cpuUsage(cpu);
      resolve({ ...summary(latencies, (end - begin) / 1000), cpu: (user + system) / 1000 / (end - begin) });
    };
    const sockets = Array.from({ length: connections }, () => {
      let sent = 0;
      const socket = openConnection(
        port,
        (status, head) => {
          const now = performance.now();
          if (!statuses.includes(status)) return failed(new Error(`answered ${head}`));
          if (now >= begin && now < end) {
            cpu ??= process.cpuUsage();
            latencies.push(now - sent);
          }
          send(now);
        },
        failed,
      );
      function send(/** @type {number} */ now) {
        const request = now < end ? next() : undefined;
        if (request !== undefined) {
          sent = now;
          socket.write(request);
          return;
        }
        end = Math.min(end, now);
        idle += 1;
        if (idle === connections) finish();
      }
      socket.once('connect', () => send(performance.now()));
      return socket;
    });
  });
}

/** @param {number[]} latencies @param {number} seconds */
function summary(latencies, seconds) {
  const sorted = Float64Array.from(latencies).sort();
  const percentile = (/** @type {number} */ share) =>
    /** @type {number} */ (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  return { answers: sorted.length, rate: sorted.length / seconds, p50: percentile(0.5), p99: percentile(0.99) };
}

const send = (/** @type {object} */ message) => process.send?.(message);

const material = await loadMaterial(/** @type {string} */ (process.env.DATABASE_URL));
process.on('message', async (/** @type {Job} */ job) => {
  try {
    send({ measured: await measure(job, source(job, material)) });
  } catch (error) {
    send({ error: /** @type {Error} */ (error).message });
  }
});
send({ ready: true });
