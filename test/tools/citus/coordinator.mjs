/** Queries to the coordinator of the cluster, and the distribution of the tables. */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { connected } from '../lib/database.mjs';
import { Unavailable } from '../lib/tool.mjs';

/** Milliseconds in which Citus resolves the prepared transactions of a lost worker: it checks every minute. */
const recoveryLimit = 150_000;

const script = readFileSync(new URL('../../../prisma/distribute.sql', import.meta.url), 'utf8');

/** @template Result @param {string} url @param {(query: (text: string) => Promise<any[]>) => Promise<Result>} work */
const withQuery = (url, work) => connected(url, (client) => work(async (text) => (await client.query(text)).rows));

/** Returns the version of Citus and the workers. @param {string} url @throws {Unavailable} without the extension */
export function describeCluster(url) {
  return withQuery(url, async (query) => {
    const [extension] = await query(`SELECT extversion FROM pg_extension WHERE extname = 'citus'`);
    if (!extension) throw new Unavailable(`the database at ${new URL(url).host} lacks the extension citus`);
    const [version] = await query('SELECT citus_version() AS text');
    const workers = await query(
      'SELECT node_name AS host, node_port::integer AS port FROM citus_get_active_worker_nodes()',
    );
    return { version: /Citus \S+/.exec(version.text)?.[0] ?? extension.extversion, workers };
  });
}

/**
 * Distributes the tables, unless they are distributed.
 *
 * @param {string} url
 * @returns {Promise<number>} the number of shards of a table
 */
export function distribute(url) {
  const shards = `SELECT count(*)::integer AS shards FROM pg_dist_shard WHERE logicalrelid = 'checkout_session'::regclass`;
  return withQuery(url, async (query) => {
    const [found] = await query(shards);
    if (found.shards > 0) return found.shards;
    const statements = script.replace(/^\s*--.*$/gm, '').split(';');
    for (const statement of statements.filter((text) => text.trim() !== '')) await query(statement);
    return (await query(shards))[0].shards;
  });
}

/**
 * Waits until no node has a prepared transaction.
 *
 * @param {string} url
 * @returns {Promise<number>} the number that remains
 */
export function preparedTransactions(url) {
  const count = `SELECT (SELECT count(*) FROM pg_prepared_xacts)::integer + coalesce(sum(result::integer), 0)::integer AS left
    FROM run_command_on_workers('SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()')`;
  return withQuery(url, async (query) => {
    const end = Date.now() + recoveryLimit;
    for (;;) {
      const [{ left }] = /** @type {[{ left: number }]} */ (/** @type {unknown} */ (await query(count)));
      if (left === 0 || Date.now() > end) return left;
      await setTimeout(1000);
    }
  });
}
