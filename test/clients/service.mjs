/** The service that the clients talk to: the one that ships, on a database of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const server = fileURLToPath(new URL('../../dist/server.js', import.meta.url));

/** @typedef {{ url: string, key: string, stop: () => Promise<void> }} Service */

/**
 * Starts the service on a new database: on the server of TEST_DATABASE_URL when it is set, else on the embedded one.
 * `stop` ends it and removes the database.
 *
 * @returns {Promise<Service>}
 */
export async function startService() {
  const key = 'full-access-key-of-the-clients';
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
      API_KEYS: key,
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
    return { url: await listening(child), key, stop };
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
  const name = `checkout_session_clients_${process.pid}`;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await query(serverUrl, `CREATE DATABASE ${name}`);
  return { url: url.href, drop: () => query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
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
