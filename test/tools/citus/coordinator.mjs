/** Questions to the cluster itself, and its distribution. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { Unavailable } from '../lib/cluster.mjs';

/** Milliseconds in which Citus ends the transactions that a lost worker left prepared: it looks every minute. */
const recovery = 150_000;

const script = readFileSync(new URL('../../../prisma/distribute.sql', import.meta.url), 'utf8');

/** @template Result @param {string} url @param {(query: (text: string) => Promise<any[]>) => Promise<Result>} work */
async function connected(url, work) {
  const client = new pg.Client({ connectionString: url, application_name: 'citus trial' });
  await client.connect();
  try {
    return await work(async (text) => (await client.query(text)).rows);
  } finally {
    await client.end();
  }
}

/** Returns the version of Citus and the workers. @param {string} url @throws Unavailable where there is no Citus */
export function describeCluster(url) {
  return connected(url, async (query) => {
    const [extension] = await query(`SELECT extversion FROM pg_extension WHERE extname = 'citus'`);
    if (!extension) throw new Unavailable(`There is no extension citus at ${new URL(url).host}.`);
    const [version] = await query('SELECT citus_version() AS text');
    const workers = await query(
      'SELECT node_name AS host, node_port::integer AS port FROM citus_get_active_worker_nodes()',
    );
    return { version: /Citus \S+/.exec(version.text)?.[0] ?? extension.extversion, workers };
  });
}

/** Distributes the tables where they are not. @param {string} url @returns {Promise<number>} the shards of a table */
export function distribute(url) {
  const shards = `SELECT count(*)::integer AS shards FROM pg_dist_shard WHERE logicalrelid = 'checkout_session'::regclass`;
  return connected(url, async (query) => {
    const [found] = await query(shards);
    if (found.shards > 0) return found.shards;
    const statements = script.replace(/^\s*--.*$/gm, '').split(';');
    for (const statement of statements.filter((text) => text.trim() !== '')) await query(statement);
    return (await query(shards))[0].shards;
  });
}

/** Waits until no transaction is prepared on any node. @param {string} url @returns {Promise<number>} how many are left */
export function preparedTransactions(url) {
  const count = `SELECT (SELECT count(*) FROM pg_prepared_xacts)::integer + coalesce(sum(result::integer), 0)::integer AS left
    FROM run_command_on_workers('SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()')`;
  return connected(url, async (query) => {
    const end = Date.now() + recovery;
    for (;;) {
      const [{ left }] = /** @type {[{ left: number }]} */ (/** @type {unknown} */ (await query(count)));
      if (left === 0 || Date.now() > end) return left;
      await setTimeout(1000);
    }
  });
}
