/**
 * `npm run faults`: harms the service and its database under write load, with real processes. Exits with 1 when
 * anything that was acknowledged is lost, anything is half written, or the service does not heal by itself; with 77 when there is
 * no PostgreSQL server to harm.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PGlite } from '@electric-sql/pglite';
import { makeCluster } from '../lib/cluster.mjs';
import { prepareService } from '../lib/service.mjs';
import { inRun, say } from '../lib/tool.mjs';
import { suffer } from './fault.mjs';
import { help, readOptions } from './options.mjs';
import { databaseName, diskFaults, serverFaults } from './postgres-faults.mjs';
import { makeSmallDisk } from './small-disk.mjs';
import { verify } from './verify.mjs';

/**
 * @typedef {import('./fault.mjs').Fault} Fault
 * @typedef {import('./fault.mjs').Outcome} Outcome
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('./verify.mjs').Query} Query
 */

/** @typedef {ReturnType<typeof readOptions>} Options */

/** Megabytes. */
const diskSize = 160;
/** Details of one fault. */
const shown = 5;

/** @param {Service} service @param {number} times @param {string} [where] @returns {Fault[]} */
function kills(service, times, where = '') {
  return Array.from({ length: times }, (_, index) => ({
    name: `kill -9 of the service${where}, ${index + 1} of ${times}`,
    endsService: true,
    async happen() {
      // At any point of the writes under way.
      await setTimeout(300 * Math.random());
      await service.end('SIGKILL');
      service.begin();
    },
  }));
}

/** @param {readonly Fault[]} faults @param {string} only */
const chosen = (faults, only) => faults.filter(({ name }) => name.includes(only));

/** @param {Service} service @param {Query} query @param {readonly Fault[]} faults @returns {Promise<Outcome[]>} */
async function sufferAll(service, query, faults) {
  if (faults.length === 0) return [];
  service.begin();
  await service.ready();
  const outcomes = [];
  for (const fault of faults) {
    const outcome = await suffer(service, query, fault);
    outcomes.push(outcome);
    report(outcome);
  }
  // All of it again: no later fault took what an earlier one had left.
  const known = outcomes.flatMap(({ losses }) => losses);
  const all = outcomes.flatMap(({ sessions }) => sessions);
  const losses = (await verify(query, all)).filter((loss) => !known.includes(loss));
  outcomes.at(-1)?.losses.push(...losses);
  for (const loss of losses.slice(0, shown)) say(`  in the end: ${loss}`);
  return outcomes;
}

/** Makes the database, on the small disk where there is one. @param {import('../lib/cluster.mjs').Cluster} cluster @param {string | undefined} place */
async function createDatabase(cluster, place) {
  await cluster.start();
  await cluster.connected('postgres', async (client) => {
    if (place) await client.query(`CREATE TABLESPACE small LOCATION '${place}'`);
    await client.query(`CREATE DATABASE ${databaseName} ${place ? 'TABLESPACE small' : ''}`);
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
 * @param {string} directory @param {import('../lib/cluster.mjs').Cluster} cluster @param {ReturnType<typeof makeSmallDisks>} disks
 * @param {Options} options @returns {Promise<Outcome[]>}
 */
async function onCluster(directory, cluster, disks, { kills: times, only }) {
  /** @type {Service | undefined} */
  let service;
  try {
    await createDatabase(cluster, disks && cluster.ownedDirectory(join(disks.data.path, 'tables')));
    service = await prepareService(directory, { DATABASE_URL: cluster.urlOf(databaseName) });
    if (!disks) say('no disk is filled: that takes root on Linux, who can mount small ones');
    const faults = [...kills(service, times), ...serverFaults(cluster), ...(disks ? diskFaults(cluster, disks) : [])];
    return await sufferAll(service, queryOf(cluster), chosen(faults, only));
  } catch (error) {
    say(cluster.log());
    throw error;
  } finally {
    await service?.end('SIGKILL');
    await cluster.stop('SIGQUIT');
  }
}

/** @param {string} directory */
function makeSmallDisks(directory) {
  const data = makeSmallDisk(join(directory, 'disk-of-the-tables'), diskSize);
  const log = data && makeSmallDisk(join(directory, 'disk-of-the-log'), diskSize);
  return data && log && { data, log };
}

/** @param {import('../lib/cluster.mjs').Cluster} cluster @returns {Query} */
const queryOf = (cluster) => (text, values) => cluster.connected(databaseName, (client) => client.query(text, values));

/** @param {string} directory @param {Options} options @returns {Promise<Outcome[]>} */
async function onEmbedded(directory, { embedded: times, only }) {
  const DATA_DIR = join(directory, 'embedded');
  const service = await prepareService(directory, { DATA_DIR });
  /** The service has the database open: what is on the disk is read from a copy, as after a kill. @type {Query} */
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
    return await sufferAll(service, query, chosen(kills(service, times, ', embedded'), only));
  } finally {
    await service.end('SIGKILL');
  }
}

/** @param {Outcome} outcome */
function report({ name, acknowledged, refused, unanswered, slowest, healed, losses, failures }) {
  const counts = `${String(acknowledged).padStart(6)} acknowledged ${String(losses.length).padStart(2)} lost`;
  const others = `${String(refused).padStart(5)} refused ${String(unanswered).padStart(4)} unanswered`;
  const times = `slowest ${String(Math.round(slowest)).padStart(5)} ms  healed in ${String(Math.round(healed)).padStart(5)} ms`;
  say(`${name.padEnd(44)} ${counts} ${others}  ${times}`);
  for (const line of [...losses, ...failures].slice(0, shown)) say(`  ${line}`);
}

/** @param {readonly Outcome[]} outcomes */
function summary(outcomes) {
  const sum = (/** @type {(outcome: Outcome) => number} */ count) =>
    outcomes.reduce((total, one) => total + count(one), 0);
  const isSound = outcomes.every(({ losses, failures }) => losses.length + failures.length === 0);
  say(
    `${outcomes.length} faults, ${sum((one) => one.acknowledged)} writes acknowledged, ` +
      `${sum((one) => one.losses.length)} lost or half written, ${sum((one) => one.failures.length)} other failures`,
  );
  return isSound && outcomes.length > 0;
}

await inRun(readOptions, async (directory, options) => {
  if (options.isHelp) {
    say(help);
    return true;
  }
  return summary([...(await onPostgres(directory, options)), ...(await onEmbedded(directory, options))]);
});
