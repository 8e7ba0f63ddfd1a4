/** The service as it runs in production: `node dist/server.js`, on a port that it keeps. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { webhookSecret } from '../load/operations.mjs';

const server = fileURLToPath(new URL('../../../dist/server.js', import.meta.url));
const key = 'full-access-key-of-the-faults';
/** Milliseconds that a start may take: the embedded database is made or recovered meanwhile. */
const patience = 60_000;

/** Milliseconds. */
export const statementTimeout = 1000;

/** A port of 127.0.0.1 that nothing listens on now. @returns {Promise<number>} */
export async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address());
  listener.close();
  await once(listener, 'close');
  return port;
}

/**
 * A service that is not started yet.
 *
 * @param {string} directory where it logs @param {Record<string, string>} variables DATABASE_URL or DATA_DIR, and what is not as the faults have it
 */
export async function prepareService(directory, variables) {
  const port = await freePort();
  const path = join(directory, 'service.log');
  const log = openSync(path, 'a');
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child;
  const kill = () => child?.kill('SIGKILL');

  function begin() {
    child = spawn(process.execPath, [server], {
      cwd: directory,
      env: {
        PATH: process.env.PATH ?? '',
        ...{ PORT: String(port), API_KEYS: key, STRIPE_WEBHOOK_SECRETS: webhookSecret, LOG_LEVEL: 'warn' },
        DATABASE_STATEMENT_TIMEOUT_MS: String(statementTimeout),
        ...variables,
      },
      stdio: ['ignore', log, log],
    });
    process.prependOnceListener('exit', kill);
  }

  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;

  /** Waits until it says that it can serve. */
  async function ready() {
    const end = performance.now() + patience;
    while (performance.now() < end) {
      if (!isRunning()) throw new Error(`the service ended:\n${lastLog()}`);
      const response = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
      await response?.arrayBuffer();
      if (response?.ok) return;
      await setTimeout(20);
    }
    throw new Error(`the service is not ready:\n${lastLog()}`);
  }

  /** @param {NodeJS.Signals} signal */
  async function end(signal) {
    process.off('exit', kill);
    if (!child || !isRunning()) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  const wholeLog = () => readFileSync(path, 'utf8');
  const lastLog = () => wholeLog().split('\n').slice(-6).join('\n');

  return { port, key, begin, ready, end, isRunning, lastLog, wholeLog };
}

/** @typedef {Awaited<ReturnType<typeof prepareService>>} Service */
