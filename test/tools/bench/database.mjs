/** The benchmark's databases: one for each number of rows, seeded once and used again. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { clean, copyForContenders, seed, seedVersion, settle } from './seed.mjs';

const execute = promisify(execFile);
const migrateScript = fileURLToPath(new URL('../../../dist/cli/migrate.js', import.meta.url));

/** @param {number} rows */
const nameOf = (rows) => `checkout_session_bench_${rows}`;

/** @param {string} serverUrl @param {number} rows */
function urlOf(serverUrl, rows) {
  const url = new URL(serverUrl);
  url.pathname = `/${nameOf(rows)}`;
  return url.href;
}

/**
 * @template Result
 * @param {string} url @param {(client: pg.Client) => Promise<Result>} work @returns {Promise<Result>}
 */
export async function connected(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * A migrated database of that many sessions, as the last run found it; made when there is none of this seed.
 *
 * @param {string} serverUrl any database of the server @param {number} rows
 * @param {boolean} withContenders whether the contenders' table is needed
 * @param {(line: string) => void} report
 * @returns {Promise<string>} its URL
 */
export async function prepareDatabase(serverUrl, rows, withContenders, report) {
  const name = nameOf(rows);
  const url = urlOf(serverUrl, rows);
  const version = `seed ${seedVersion}`;
  await connected(serverUrl, async (server) => {
    const found = await server.query(
      `SELECT shobj_description(oid, 'pg_database') AS version FROM pg_database WHERE datname = $1`,
      [name],
    );
    const isSeeded = found.rows[0]?.version === version;
    if (!isSeeded) {
      await server.query(`DROP DATABASE IF EXISTS ${name}`);
      await server.query(`CREATE DATABASE ${name}`);
    }
    await execute(process.execPath, [migrateScript], { env: { ...process.env, DATABASE_URL: url } });
    await connected(url, async (client) => {
      if (!isSeeded) await seed(client, rows, report);
      await clean(client, rows);
      if (withContenders) await copyForContenders(client);
      await settle(client);
    });
    // After the rows: a run that was stopped meanwhile leaves a database that the next one makes anew.
    if (!isSeeded) await server.query(`COMMENT ON DATABASE ${name} IS '${version}'`);
  });
  return url;
}

/** Any number that nothing else on the server locks. */
const runLock = 2_024_112_401;

/**
 * Runs alone on a server: two at once would measure each other, on the same tables.
 *
 * @template Result
 * @param {string} serverUrl @param {(line: string) => void} report @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export function alone(serverUrl, report, work) {
  return connected(serverUrl, async (server) => {
    const { rows } = await server.query('SELECT pg_try_advisory_lock($1) AS locked', [runLock]);
    if (!rows[0].locked) {
      report('another run is under way on this server: waiting for its end');
      await server.query('SELECT pg_advisory_lock($1)', [runLock]);
    }
    return work();
  });
}

/** @param {string} serverUrl @returns {Promise<string[]>} the names of the databases that were dropped */
export function dropDatabases(serverUrl) {
  return connected(serverUrl, async (server) => {
    const { rows } = await server.query(
      `SELECT datname FROM pg_database WHERE datname ~ '^checkout_session_bench_\\d+$'`,
    );
    for (const { datname } of rows) await server.query(`DROP DATABASE ${datname}`);
    return rows.map(({ datname }) => datname);
  });
}
