/** `npm run faults`: see options.mjs. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PGlite } from '@electric-sql/pglite';
import { makeCluster } from '../lib/cluster.mjs';
import { prepareService } from '../lib/service.mjs';
import { runTool, say } from '../lib/tool.mjs';
import { runFault, statementTimeout } from './fault.mjs';
import { help, readOptions } from './options.mjs';
import { databaseName, diskFaults, serverFaults } from './postgres-faults.mjs';
import { makeSmallDisk } from './small-disk.mjs';
import { verify } from './verify.mjs';

/**
 * @typedef {import('../lib/cluster.mjs').Cluster} Cluster
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('./fault.mjs').Fault} Fault
 * @typedef {import('./fault.mjs').Outcome} Outcome
 * @typedef {import('./options.mjs').Options} Options
 * @typedef {import('./verify.mjs').Query} Query
 */

/** Megabytes. */
const diskSize = 160;
/** Failures of one fault to print. */
const printed = 5;

/**
 * Returns faults that kill the service and start it again.
 *
 * @param {Service} service @param {number} times @param {string} [where]
 * @returns {Fault[]}
 */
function kills(service, times, where = '') {
  return Array.from({ length: times }, (_, index) => ({
    name: `kill -9 of the service${where}, ${index + 1} of ${times}`,
    endsService: true,
    async inflict() {
      // A random delay, so that the kill meets the writes in flight at any point.
      await setTimeout(300 * Math.random());
      await service.end('SIGKILL');
      service.start();
    },
  }));
}

/** @param {Service} service @param {Query} query @param {readonly Fault[]} faults @returns {Promise<Outcome[]>} */
async function runFaults(service, query, faults) {
  if (faults.length === 0) return [];
  service.start();
  await service.ready();
  const outcomes = [];
  for (const fault of faults) {
    const outcome = await runFault(service, query, fault);
    outcomes.push(outcome);
    report(outcome);
  }
  // Verify everything again: a later fault may have destroyed an earlier write.
  const known = outcomes.flatMap(({ losses }) => losses);
  const all = outcomes.flatMap(({ sessions }) => sessions);
  const losses = (await verify(query, all)).filter((loss) => !known.includes(loss));
  outcomes.at(-1)?.losses.push(...losses);
  for (const loss of losses.slice(0, printed)) say(`  in the end: ${loss}`);
  return outcomes;
}

/**
 * Creates the database, on the small disk if there is one.
 *
 * @param {Cluster} cluster @param {string | undefined} location
 */
async function createDatabase(cluster, location) {
  await cluster.start();
  await cluster.connected('postgres', async (client) => {
    if (location) await client.query(`CREATE TABLESPACE small LOCATION '${location}'`);
    await client.query(`CREATE DATABASE ${databaseName} ${location ? 'TABLESPACE small' : ''}`);
  });
}

/** @param {string} directory @param {Options} options @returns {Promise<Outcome[]>} */
async function onPostgres(directory, options) {
  const disks = makeSmallDisks(directory);
  try {
    const cluster = makeCluster(directory, { wal: disks && join(disks.log.path, 'wal') });
    return await onCluster(directory, cluster, disks, options);
  } finally {
    disks?.data.remove();
    disks?.log.remove();
  }
}

/**
 * @param {string} directory @param {Cluster} cluster @param {ReturnType<typeof makeSmallDisks>} disks
 * @param {Options} options @returns {Promise<Outcome[]>}
 */
async function onCluster(directory, cluster, disks, { kills: times, only }) {
  /** @type {Service | undefined} */
  let service;
  try {
    await createDatabase(cluster, disks && cluster.ownedDirectory(join(disks.data.path, 'tables')));
    service = await prepareFaultyService(directory, { DATABASE_URL: cluster.urlOf(databaseName) });
    if (!disks) say('no disk is filled: only root on Linux can mount small disks');
    const faults = [...kills(service, times), ...serverFaults(cluster), ...(disks ? diskFaults(cluster, disks) : [])];
    return await runFaults(service, queryOf(cluster), chosen(faults, only));
  } catch (error) {
    say(cluster.lastLog());
    throw error;
  } finally {
    await service?.end('SIGKILL');
    await cluster.stop('SIGQUIT');
  }
}

/** @param {string} directory @param {Record<string, string>} settings */
const prepareFaultyService = (directory, settings) =>
  prepareService(directory, { DATABASE_STATEMENT_TIMEOUT_MS: String(statementTimeout), ...settings });

/** @param {readonly Fault[]} faults @param {string} only */
const chosen = (faults, only) => faults.filter(({ name }) => name.includes(only));

/** @param {string} directory */
function makeSmallDisks(directory) {
  const data = makeSmallDisk(join(directory, 'disk-of-the-tables'), diskSize);
  const log = data && makeSmallDisk(join(directory, 'disk-of-the-log'), diskSize);
  return data && log && { data, log };
}

/** @param {Cluster} cluster @returns {Query} */
const queryOf = (cluster) => (text, values) => cluster.connected(databaseName, (client) => client.query(text, values));

/** @param {string} directory @param {Options} options @returns {Promise<Outcome[]>} */
async function onEmbedded(directory, { embedded: times, only }) {
  const own = join(directory, 'embedded');
  mkdirSync(own);
  const DATA_DIR = join(own, 'data');
  const service = await prepareFaultyService(own, { DATA_DIR });
  /** Reads a copy of the files, as the service has the database open. @type {Query} */
  const query = async (text, values) => {
    const copy = join(directory, 'copy');
    cpSync(join(DATA_DIR, 'postgres'), copy, { recursive: true });
    const database = await PGlite.create(copy);
    try {
      return await database.query(text, values);
    } finally {
      await database.close();
      rmSync(copy, { recursive: true });
    }
  };
  try {
    return await runFaults(service, query, chosen(kills(service, times, ', embedded'), only));
  } finally {
    await service.end('SIGKILL');
  }
}

/** @param {Outcome} outcome */
function report({ name, acknowledged, refused, unanswered, slowest, recovery, losses, failures }) {
  const counts = `${String(acknowledged).padStart(6)} acknowledged ${String(losses.length).padStart(2)} lost`;
  const others = `${String(refused).padStart(5)} refused ${String(unanswered).padStart(4)} unanswered`;
  const times = `slowest ${String(Math.round(slowest)).padStart(5)} ms  recovery ${String(Math.round(recovery)).padStart(5)} ms`;
  say(`${name.padEnd(44)} ${counts} ${others}  ${times}`);
  for (const line of [...losses, ...failures].slice(0, printed)) say(`  ${line}`);
}

/** Prints the sums. @param {readonly Outcome[]} outcomes @returns {boolean} whether the service survived every fault */
function summarize(outcomes) {
  const sum = (/** @type {(outcome: Outcome) => number} */ count) =>
    outcomes.reduce((total, one) => total + count(one), 0);
  const losses = sum((one) => one.losses.length);
  const failures = sum((one) => one.failures.length);
  say(
    `${outcomes.length} faults, ${sum((one) => one.acknowledged)} writes acknowledged, ` +
      `${losses} lost or half written, ${failures} other failures`,
  );
  return losses + failures === 0 && outcomes.length > 0;
}

await runTool(help, readOptions, async (options, directory) =>
  summarize([...(await onPostgres(directory, options)), ...(await onEmbedded(directory, options))]),
);
