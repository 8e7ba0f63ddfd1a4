/** The databases of the benchmark: one for each number of rows, seeded once and kept. */
import { migrate } from '../lib/command.mjs';
import { connected, databaseUrl } from '../lib/database.mjs';
import { clean, copyForContenders, seed, seedVersion, settle } from './seed.mjs';

/** @param {number} rows */
const nameOf = (rows) => `checkout_session_bench_${rows}`;

/**
 * Returns a migrated database with a number of sessions, in the state before the last run. Seeds it if there is none of this
 * version.
 *
 * @param {string} serverUrl of any database of the server @param {number} rows
 * @param {boolean} withContenders whether to fill the contenders' table
 * @param {(line: string) => void} report
 * @returns {Promise<string>} its URL
 */
export async function prepareDatabase(serverUrl, rows, withContenders, report) {
  const name = nameOf(rows);
  const url = databaseUrl(serverUrl, name);
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
    await migrate({ DATABASE_URL: url });
    await connected(url, async (client) => {
      if (!isSeeded) await seed(client, rows, report);
      await clean(client, rows);
      if (withContenders) await copyForContenders(client);
      await settle(client);
    });
    // Last: if a run is stopped before, the next run seeds the database again.
    if (!isSeeded) await server.query(`COMMENT ON DATABASE ${name} IS '${version}'`);
  });
  return url;
}

/** A number that no other program on the server locks. */
const runLock = 2_024_112_401;

/**
 * Waits for other runs on the server: two runs at once would measure each other, on the same tables.
 *
 * @template Result
 * @param {string} serverUrl @param {(line: string) => void} report @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export function runExclusively(serverUrl, report, work) {
  return connected(serverUrl, async (server) => {
    const { rows } = await server.query('SELECT pg_try_advisory_lock($1) AS locked', [runLock]);
    if (!rows[0].locked) {
      report('another run is in progress on this server: waiting for its end');
      await server.query('SELECT pg_advisory_lock($1)', [runLock]);
    }
    return work();
  });
}

/** @param {string} serverUrl @returns {Promise<string[]>} the names of the dropped databases */
export function dropDatabases(serverUrl) {
  return connected(serverUrl, async (server) => {
    const { rows } = await server.query(
      `SELECT datname FROM pg_database WHERE datname ~ '^checkout_session_bench_\\d+$'`,
    );
    for (const { datname } of rows) await server.query(`DROP DATABASE ${datname}`);
    return rows.map(({ datname }) => datname);
  });
}
