/** The processes: the service, the contenders, the load. None outlives the run. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { webhookSecret } from './scenarios.mjs';

/** @typedef {{ name: string, port: number, headers: Record<string, string>, rss: () => number | undefined }} Service */

const key = 'benchmark-key';
const local = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/** Even a parent that was killed leaves nothing behind. */
const endsWithParent = 'data:text/javascript,process.on("disconnect", () => process.exit())';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

/** @param {string} path @param {Record<string, string>} variables */
function start(path, variables) {
  // No setting of the shell's reaches what is measured.
  const { PATH, HOME } = process.env;
  const env = /** @type {NodeJS.ProcessEnv} */ ({ PATH, HOME, ...variables });
  const child = fork(path, {
    env,
    execArgv: ['--import', endsWithParent],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts ours or a contender, and waits until it answers.
 *
 * @param {string} name @param {string} databaseUrl @param {string} logLevel of ours; the contenders log nothing
 * @returns {Promise<Service>}
 */
export async function startService(name, databaseUrl, logLevel) {
  const port = await freePort();
  const shared = { PORT: String(port), DATABASE_URL: databaseUrl };
  const child =
    name === 'ours'
      ? start(local('../../../dist/server.js'), {
          ...shared,
          API_KEYS: key,
          STRIPE_WEBHOOK_SECRETS: webhookSecret,
          LOG_LEVEL: logLevel,
        })
      : start(local(`contenders/${name}.mjs`), { ...shared, STRIPE_WEBHOOK_SECRET: webhookSecret });
  for (let attempt = 1; ; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    try {
      await (await fetch(`http://127.0.0.1:${port}/health/live`)).arrayBuffer();
      break;
    } catch (error) {
      if (attempt === 300) throw new Error(`${name} does not answer`, { cause: error });
      await setTimeout(100);
    }
  }
  const headers = name === 'ours' ? { authorization: `Bearer ${key}` } : {};
  return { name, port, headers, rss: () => residentMegabytes(/** @type {number} */ (child.pid)) };
}

/** Undefined where the system does not say. @param {number} pid */
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
 * Starts the process that asks.
 *
 * @param {string} databaseUrl
 * @returns {Promise<(job: import('./load.mjs').Job) => Promise<import('./load.mjs').Measured>>}
 */
export async function startLoad(databaseUrl) {
  const child = start(local('load.mjs'), { DATABASE_URL: databaseUrl });
  const ended = once(child, 'exit').then(() => [{ error: 'the process that asks ended' }]);
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

/** Ends what was started. */
export async function stopAll() {
  const ending = [...children].map(async (child) => {
    child.kill();
    const timer = new AbortController();
    await Promise.race([once(child, 'exit'), setTimeout(5000, undefined, { signal: timer.signal })]);
    timer.abort();
  });
  await Promise.all(ending);
}
