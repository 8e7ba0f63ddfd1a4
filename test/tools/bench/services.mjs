/** The processes of the benchmark: the service, the contenders, the load generator. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endChild, isRunning, startNode } from '../lib/child.mjs';
import { freePort, untilReady } from '../lib/network.mjs';
import { apiKey, webhookSecret } from '../lib/service.mjs';

/** @typedef {{ name: string, port: number, headers: Record<string, string>, rss: () => number | undefined }} Service */

const pathOf = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** @param {string} path @param {Record<string, string>} settings */
function start(path, settings) {
  const child = startNode(pathOf(path), { settings });
  children.add(child);
  return child;
}

/**
 * Starts our service or a contender, and waits until it answers.
 *
 * @param {string} name @param {string} databaseUrl @param {string} logLevel of our service; the contenders do not log
 * @returns {Promise<Service>}
 */
export async function startService(name, databaseUrl, logLevel) {
  const port = await freePort();
  const settings = { PORT: String(port), DATABASE_URL: databaseUrl };
  const isOurs = name === 'ours';
  const child = isOurs
    ? start('../../../dist/server.js', {
        ...{ ...settings, API_KEYS: apiKey, STRIPE_WEBHOOK_SECRETS: webhookSecret, LOG_LEVEL: logLevel },
      })
    : start(`contenders/${name}.mjs`, { ...settings, STRIPE_WEBHOOK_SECRET: webhookSecret });
  // Any answer will do: the contenders have no such path.
  await untilReady(
    `http://127.0.0.1:${port}/health/live`,
    () => isRunning(child),
    () => true,
  ).catch((error) => {
    throw new Error(`${name} does not start: ${error.message}`);
  });
  const headers = isOurs ? { authorization: `Bearer ${apiKey}` } : {};
  return { name, port, headers, rss: () => residentMegabytes(/** @type {number} */ (child.pid)) };
}

/** Returns the resident memory of a process; undefined when the system does not report it. @param {number} pid */
function residentMegabytes(pid) {
  try {
    if (process.platform === 'linux') {
      const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      return Number(kilobytes) / 1024;
    }
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
  } catch {
    return undefined;
  }
}

/**
 * Starts a load generator.
 *
 * @param {string} databaseUrl
 * @returns {Promise<(job: import('./load.mjs').Job) => Promise<import('./load.mjs').Measured>>} runs one measurement
 */
export async function startLoad(databaseUrl) {
  const child = start('load.mjs', { DATABASE_URL: databaseUrl });
  const ended = once(child, 'exit').then(() => [{ error: 'the load generator ended' }]);
  const answer = async () => {
    const [message] = await Promise.race([once(child, 'message'), ended]);
    if (message.error) throw new Error(message.error);
    return message.measured;
  };
  await answer();
  return (job) => {
    child.send(job);
    return answer();
  };
}

/** Ends all processes of the benchmark. */
export async function stopAll() {
  await Promise.all([...children].map((child) => endChild(child)));
}
