/** Faults of a PostgreSQL server, of its disks and of the connections to it. */
import { setTimeout } from 'node:timers/promises';
import { statementTimeout } from './fault.mjs';

/**
 * @typedef {import('./fault.mjs').Fault} Fault
 * @typedef {import('../load/writers.mjs').Load} Load
 * @typedef {import('../lib/cluster.mjs').Cluster} Cluster
 * @typedef {import('./small-disk.mjs').SmallDisk} SmallDisk
 */

/** Milliseconds: longer than every timeout of the service. */
const pastTimeouts = 2 * statementTimeout + 2000;

export const databaseName = 'checkout_session';

/** @param {Cluster} cluster @returns {readonly Fault[]} */
export function serverFaults(cluster) {
  const restart = (/** @type {'SIGINT' | 'SIGQUIT'} */ signal) => async () => {
    await cluster.stop(signal);
    await cluster.start();
  };
  return [
    { name: 'PostgreSQL restarted, fast', inflict: restart('SIGINT'), refuses: true },
    { name: 'PostgreSQL restarted, immediate', inflict: restart('SIGQUIT'), refuses: true },
    { name: 'a process of PostgreSQL killed, -9', inflict: () => crash(cluster), refuses: true },
    { name: 'every connection cut, 20 times', inflict: () => cutConnections(cluster), refuses: true },
    { name: 'PostgreSQL stopped past all timeouts', inflict: () => stopPastTimeouts(cluster), refuses: true },
    { name: 'PostgreSQL paused for a moment', inflict: () => pause(cluster, statementTimeout / 2) },
    { name: 'PostgreSQL paused past all timeouts', inflict: () => pause(cluster, pastTimeouts), refuses: true },
  ];
}

/** @param {Cluster} cluster */
async function stopPastTimeouts(cluster) {
  await cluster.stop('SIGINT');
  await setTimeout(pastTimeouts);
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

/** Selects the server processes that serve the service. */
const backends = `SELECT pid FROM pg_stat_activity WHERE application_name = 'checkout-session-service'`;

/** Kills one server process. The server then ends all others, recovers, and goes on. @param {Cluster} cluster */
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
 * @param {{ data: SmallDisk, log: SmallDisk }} disks of the tables and of the write-ahead log
 * @returns {readonly Fault[]}
 */
export function diskFaults(cluster, disks) {
  return [
    { name: 'the disk of the tables full', inflict: (load) => fillData(disks.data, load), refuses: true },
    {
      name: 'the disk of the write-ahead log full',
      inflict: (load) => fillLog(cluster, disks.log, load),
      refuses: true,
    },
  ];
}

/** Waits until the service has refused writes for a second. @param {Load} load @param {() => boolean} [hasEffect] */
async function untilRefused({ counts }, hasEffect = () => counts.refused > 0) {
  const end = performance.now() + 30_000;
  while (!hasEffect()) {
    if (performance.now() > end) throw new Error('the full disk has no effect');
    await setTimeout(50);
  }
  await setTimeout(1000);
}

/**
 * Fills the disk of the tables. Statements fail as soon as a table or an index must grow.
 *
 * @param {SmallDisk} disk @param {Load} load
 */
async function fillData(disk, load) {
  disk.fill();
  try {
    await untilRefused(load);
  } finally {
    disk.empty();
  }
}

/**
 * Fills the disk of the write-ahead log. The server crashes and cannot recover, so this function starts it again once the
 * disk has space. A replication slot without a replica keeps the server from reusing old segments.
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
