import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

/**
 * Connects to a database for some work.
 *
 * @template Result
 * @param {string} url @param {(client: pg.Client) => Promise<Result>} work @returns {Promise<Result>}
 */
export async function connected(url, work) {
  const client = new pg.Client({ connectionString: url, application_name: 'checkout-session-tools' });
  // A tool may end the server under this connection: the statement fails then, and this event tells nothing new.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Returns the URL of another database on the same server. @param {string} serverUrl @param {string} name */
export function databaseUrl(serverUrl, name) {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/**
 * @typedef {object} ScratchDatabase
 * @property {Record<string, string>} settings DATABASE_URL or DATA_DIR
 * @property {() => Promise<void>} drop
 */

/**
 * Creates an empty database: on the server of TEST_DATABASE_URL if it is set, else a folder for the embedded one.
 *
 * @param {string} directory for the embedded database @returns {Promise<ScratchDatabase>}
 */
export async function scratchDatabase(directory) {
  const { TEST_DATABASE_URL } = process.env;
  if (!TEST_DATABASE_URL) {
    const folder = join(directory, 'data');
    return {
      settings: { DATA_DIR: folder },
      drop: async () => rmSync(folder, { recursive: true, force: true }),
    };
  }
  const name = `checkout_session_tool_${randomUUID()}`;
  await connected(TEST_DATABASE_URL, (client) => client.query(`CREATE DATABASE "${name}"`));
  return {
    settings: { DATABASE_URL: databaseUrl(TEST_DATABASE_URL, name) },
    drop: async () => {
      await connected(TEST_DATABASE_URL, (client) => client.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`));
    },
  };
}
