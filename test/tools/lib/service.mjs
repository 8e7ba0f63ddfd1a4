/** The built service as a process: `node dist/server.js`. */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endChild, isRunning, startNode } from './child.mjs';
import { scratchDatabase } from './database.mjs';
import { removeDirectory, temporaryDirectory } from './directory.mjs';
import { freePort, untilReady } from './network.mjs';

const server = fileURLToPath(new URL('../../../dist/server.js', import.meta.url));

/** Secrets of every service that a tool starts. The Stripe key has full access too, and the look of a test key of Stripe. */
const secrets = {
  API_KEY: 'full-access-key-of-the-tools',
  STRIPE_KEY: 'sk_test_full_access_key_of_the_tools',
  READ_KEY: 'read-only-key-of-the-tools',
  WEBHOOK_SECRET: 'whsec_of_the_tools',
};
export const { API_KEY: apiKey, WEBHOOK_SECRET: webhookSecret } = secrets;

/**
 * The environment of a client's program: the address of the service and its secrets.
 *
 * @typedef {Record<'BASE_URL' | keyof typeof secrets, string>} Environment
 * @typedef {Awaited<ReturnType<typeof prepareService>>} Service
 * @typedef {Awaited<ReturnType<typeof startService>>} StartedService
 */

/**
 * Prepares a service, which does not run yet. It keeps its port and its log when it is started again.
 *
 * @param {string} directory its working directory @param {Record<string, string>} settings its environment variables
 */
export async function prepareService(directory, settings) {
  const port = settings.PORT ? Number(settings.PORT) : await freePort();
  const url = `http://127.0.0.1:${port}`;
  const logPath = join(directory, 'service.log');
  const log = openSync(logPath, 'a');
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child;

  const service = {
    port,
    url,
    /** The key with full access. */
    key: apiKey,
    /** @type {Environment} */
    environment: { BASE_URL: url, ...secrets },

    /** Starts the process. */
    start() {
      child = startNode(server, {
        directory,
        log,
        settings: {
          ...{ PORT: String(port), LOG_LEVEL: 'warn' },
          ...{ API_KEYS: `${secrets.API_KEY},${secrets.STRIPE_KEY}`, API_READ_KEYS: secrets.READ_KEY },
          STRIPE_WEBHOOK_SECRETS: webhookSecret,
          ...settings,
        },
      });
    },

    /** Waits until the service says that it can serve. */
    async ready() {
      await untilReady(`${url}/health/ready`, service.isRunning).catch((error) => {
        throw new Error(`the service does not start: ${error.message}\n${service.lastLog()}`);
      });
    },

    isRunning: () => child !== undefined && isRunning(child),

    /** Sends a signal. @param {NodeJS.Signals} signal */
    kill: (signal) => void child?.kill(signal),

    /** Sends a signal and waits for the end of the process. @param {NodeJS.Signals} signal */
    async end(signal) {
      if (child) await endChild(child, signal);
    },

    log: () => readFileSync(logPath, 'utf8'),
    /** Returns the last five lines of the log. */
    lastLog: () => service.log().trimEnd().split('\n').slice(-5).join('\n'),
    /** Returns the lines of the log with an error. */
    errors: () => service.log().match(/^.*"level":"(error|fatal)".*$/gm) ?? [],
  };
  return service;
}

/**
 * Starts the service on an empty database of its own, unless the settings name one, and waits until it is ready.
 *
 * @param {Record<string, string>} [settings] its environment variables
 */
export async function startService(settings = {}) {
  const directory = temporaryDirectory();
  const database = settings.DATA_DIR || settings.DATABASE_URL ? undefined : await scratchDatabase(directory);
  const service = await prepareService(directory, { ...database?.settings, ...settings });
  const dropDatabase = async () => database?.drop();

  /** Ends the service and removes its database. */
  async function stop() {
    await service.end('SIGTERM');
    await dropDatabase();
    removeDirectory(directory);
  }

  service.start();
  try {
    await service.ready();
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...service, dropDatabase, stop };
}
