/** The service that the clients talk to: the one that ships, on a database of its own. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const server = fileURLToPath(new URL('../../../dist/server.js', import.meta.url));

/**
 * What a client's program is told of the service: where it is, a key with full access, one that looks like a test key of
 * Stripe's, one that only reads, and the secret of the webhook.
 *
 * @typedef {'BASE_URL' | 'API_KEY' | 'STRIPE_KEY' | 'READ_KEY' | 'WEBHOOK_SECRET'} Name
 * @typedef {Record<Name, string>} Environment
 * @typedef {object} Service
 * @property {string} url
 * @property {string} key with full access
 * @property {Environment} environment
 * @property {import('node:child_process').ChildProcess} process
 * @property {() => Promise<void>} stop
 * @property {() => Promise<unknown>} [dropDatabase] where it is on PostgreSQL
 */

/**
 * Starts the service on a new database: on the server of TEST_DATABASE_URL when it is set, else on the embedded one.
 * `stop` ends it and removes the database.
 *
 * @param {Record<string, string>} [settings] more of its environment
 * @returns {Promise<Service>}
 */
export async function startService(settings = {}) {
  const keys = {
    API_KEY: 'full-access-key-of-the-clients',
    STRIPE_KEY: 'sk_test_full_access_key_of_the_clients',
    READ_KEY: 'reading-key-of-the-clients',
    WEBHOOK_SECRET: 'whsec_of_the_clients',
  };
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-clients-'));
  const { TEST_DATABASE_URL, PATH, SystemRoot } = process.env;
  const database = TEST_DATABASE_URL ? await createDatabase(TEST_DATABASE_URL) : undefined;
  const child = spawn(process.execPath, [server], {
    cwd: directory,
    env: {
      ...(PATH && { PATH }),
      ...(SystemRoot && { SystemRoot }),
      ...(database && { DATABASE_URL: database.url }),
      PORT: '0',
      API_KEYS: `${keys.API_KEY},${keys.STRIPE_KEY}`,
      API_READ_KEYS: keys.READ_KEY,
      STRIPE_WEBHOOK_SECRETS: keys.WEBHOOK_SECRET,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill();
      await once(child, 'exit');
    }
    process.off('exit', kill);
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const url = await listening(child);
    const environment = { BASE_URL: url, ...keys };
    return {
      url,
      key: keys.API_KEY,
      environment,
      process: child,
      stop,
      ...(database && { dropDatabase: database.drop }),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, null>} child */
async function listening(child) {
  const lines = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (!line.includes('"msg":"listening"')) continue;
    // What it logs from here on is read, so that it never waits for a reader.
    child.stdout.resume();
    return String(JSON.parse(line).address);
  }
  throw new Error(`the service did not start:\n${lines.join('\n')}`);
}

/** @param {string} serverUrl */
async function createDatabase(serverUrl) {
  const name = `checkout_session_clients_${randomBytes(8).toString('hex')}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await query(serverUrl, `CREATE DATABASE ${name}`);
  return { url: url.href, drop: () => query(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/** @param {string} url @param {string} statement */
async function query(url, statement) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
