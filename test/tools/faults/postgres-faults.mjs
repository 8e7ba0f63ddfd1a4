/** What can happen to a PostgreSQL server and to the way there. */
import { setTimeout } from 'node:timers/promises';
import { statementTimeout } from '../lib/service.mjs';

/**
 * @typedef {import('./fault.mjs').Fault} Fault
 * @typedef {import('./fault.mjs').Load} Load
 * @typedef {import('../lib/cluster.mjs').Cluster} Cluster
 * @typedef {import('./small-disk.mjs').SmallDisk} SmallDisk
 */

/** Milliseconds past every timeout of the service's. */
const long = 2 * statementTimeout + 2000;

export const databaseName = 'checkout_session';

/** @param {Cluster} cluster @returns {readonly Fault[]} */
export function serverFaults(cluster) {
  const restart = (/** @type {'SIGINT' | 'SIGQUIT'} */ signal) => async () => {
    await cluster.stop(signal);
    await cluster.start();
  };
  return [
    { name: 'PostgreSQL restarted, fast', happen: restart('SIGINT'), refuses: true },
    { name: 'PostgreSQL restarted, immediate', happen: restart('SIGQUIT'), refuses: true },
    { name: 'a process of PostgreSQL killed, -9', happen: () => crash(cluster), refuses: true },
    { name: 'every connection cut, 20 times', happen: () => cutConnections(cluster), refuses: true },
    { name: 'PostgreSQL stopped for a while', happen: () => stopForAWhile(cluster), refuses: true },
    { name: 'PostgreSQL paused for a moment', happen: () => pause(cluster, statementTimeout / 2) },
    { name: 'PostgreSQL paused past all timeouts', happen: () => pause(cluster, long), refuses: true },
  ];
}

/** @param {Cluster} cluster */
async function stopForAWhile(cluster) {
  await cluster.stop('SIGINT');
  await setTimeout(long);
  await cluster.start();
}

/** @param {Cluster} cluster @param {number} duration milliseconds */
async function pause(cluster, duration) {
  cluster.signalAll('SIGSTOP');
  try {
    await setTimeout(duration);
  } finally {
    cluster.signalAll('SIGCONT');
  }
}

/** The pids of what serves the service. */
const backends = `SELECT pid FROM pg_stat_activity WHERE application_name = 'checkout-session-service'`;

/** The server ends all others, recovers, and goes on. @param {Cluster} cluster */
async function crash(cluster) {
  const { rows } = await cluster.connected('postgres', (client) => client.query(backends));
  const [victim] = rows;
  if (!victim) throw new Error('the service has no connection');
  process.kill(victim.pid, 'SIGKILL');
}

/** @param {Cluster} cluster */
async function cutConnections(cluster) {
  await cluster.connected('postgres', async (client) => {
    for (let time = 0; time < 20; time += 1) {
      await client.query(`SELECT pg_terminate_backend(pid) FROM (${backends}) AS backend`);
      await setTimeout(50);
    }
  });
}

/**
 * @param {Cluster} cluster
 * @param {{ data: SmallDisk, log: SmallDisk }} disks where the tables are, and the write-ahead log
 * @returns {readonly Fault[]}
 */
export function diskFaults(cluster, disks) {
  return [
    { name: 'the disk of the tables full', happen: (load) => fillData(disks.data, load), refuses: true },
    {
      name: 'the disk of the write-ahead log full',
      happen: (load) => fillLog(cluster, disks.log, load),
      refuses: true,
    },
  ];
}

/** Until writes have been refused for a second. @param {Load} load @param {() => boolean} [isOver] */
async function untilRefused({ counts }, isOver = () => counts.refused > 0) {
  const end = performance.now() + 30_000;
  while (!isOver()) {
    if (performance.now() > end) throw new Error('the full disk stopped nothing');
    await setTimeout(50);
  }
  await setTimeout(1000);
}

/** Statements fail as soon as a table or an index must grow. @param {SmallDisk} disk @param {Load} load */
async function fillData(disk, load) {
  disk.fill();
  try {
    await untilRefused(load);
  } finally {
    disk.empty();
  }
}

/**
 * The server cannot go on, crashes, and cannot recover either: it is started again when there is space. A slot without
 * a replica keeps it from using old segments again.
 *
 * @param {Cluster} cluster @param {SmallDisk} disk @param {Load} load
 */
async function fillLog(cluster, disk, load) {
  const query = (/** @type {string} */ text) => cluster.connected('postgres', (client) => client.query(text));
  await query(`SELECT pg_create_physical_replication_slot('absent', true)`);
  disk.fill();
  try {
    await untilRefused(load, cluster.hasEnded);
  } finally {
    disk.empty();
    await cluster.stop('SIGQUIT');
    await cluster.start();
    await query(`SELECT pg_drop_replication_slot('absent')`);
  }
}
