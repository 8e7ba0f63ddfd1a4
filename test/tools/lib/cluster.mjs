/** A PostgreSQL server of the tool's own, in a temporary folder. The tool may crash, pause or fill it. */
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, chownSync, constants, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { endAtExit, endChild, isRunning } from './child.mjs';
import { connected, databaseUrl } from './database.mjs';
import { freePort } from './network.mjs';
import { prepareService } from './service.mjs';
import { Unavailable } from './tool.mjs';

/** Milliseconds that a start may take, recovery after a crash included. */
const startLimit = 60_000;

/**
 * Returns the folder of PostgreSQL's programs: PG_BIN, else Debian's newest version, else the first in the PATH.
 *
 * @throws {Unavailable}
 */
function findPrograms() {
  const { PG_BIN, PATH = '' } = process.env;
  const debian = '/usr/lib/postgresql';
  const versions = entriesOf(debian).sort((one, other) => Number(other) - Number(one));
  const folders = PG_BIN
    ? [PG_BIN]
    : [...versions.map((version) => join(debian, version, 'bin')), ...PATH.split(delimiter)];
  const found = folders.find((folder) => isProgram(join(folder, 'initdb')) && isProgram(join(folder, 'postgres')));
  if (!found) {
    throw new Unavailable(
      'this machine has no PostgreSQL server: install one, or set PG_BIN to the folder of its programs',
    );
  }
  return found;
}

/** Returns the names in a folder; none if it does not exist. @param {string} path */
function entriesOf(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the user of the server: `postgres` if this user is root, as PostgreSQL refuses root.
 *
 * @throws {Unavailable}
 */
function findUser() {
  if (process.getuid?.() !== 0) return undefined;
  try {
    const idOf = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { stdio: 'pipe' }));
    return { uid: idOf('-u'), gid: idOf('-g') };
  } catch {
    throw new Unavailable('PostgreSQL refuses to run as root, and this machine has no user postgres');
  }
}

/**
 * Makes a cluster with initdb. Its server does not run yet.
 *
 * @param {string} directory an empty folder that other users may enter
 * @param {{ wal?: string | undefined }} [places] `wal`: another folder for the write-ahead log
 */
export function makeCluster(directory, { wal } = {}) {
  const programs = findPrograms();
  const user = findUser();
  const data = ownedDirectory(join(directory, 'data'));
  if (wal) ownedDirectory(wal);
  const logPath = join(directory, 'postgres.log');
  const log = openSync(logPath, 'a');
  const options = /** @type {const} */ ({
    ...user,
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
    cwd: data,
    stdio: ['ignore', log, log],
  });
  const form = ['-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--wal-segsize=1', ...(wal ? [`--waldir=${wal}`] : [])];
  execFileSync(join(programs, 'initdb'), ['-D', data, ...form], { ...options, stdio: [...options.stdio] });

  /** Makes a folder that the server may write to. @param {string} path */
  function ownedDirectory(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (user) chownSync(path, user.uid, user.gid);
    return path;
  }

  /** @type {import('node:child_process').ChildProcess | undefined} */
  let postmaster;
  let port = 0;
  const urlOf = (/** @type {string} */ name) => databaseUrl(`postgresql://postgres@127.0.0.1:${port}`, name);

  /** Starts the server and waits until it accepts connections. */
  async function start() {
    port ||= await freePort();
    const settings = Object.entries({
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: data,
      min_wal_size: '2MB',
      max_wal_size: '64MB',
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const args = ['-D', data, ...settings];
    const child = spawn(join(programs, 'postgres'), args, { ...options, stdio: [...options.stdio] });
    postmaster = endAtExit(child, 'SIGQUIT');
    const end = performance.now() + startLimit;
    for (;;) {
      if (!isRunning(child)) throw new Error(`PostgreSQL ended with ${child.exitCode ?? child.signalCode}`);
      try {
        return await connected(urlOf('postgres'), (client) => client.query('SELECT'));
      } catch (error) {
        if (performance.now() > end) throw new Error('PostgreSQL does not start', { cause: error });
        await setTimeout(20);
      }
    }
  }

  /**
   * Ends the server: SIGINT is PostgreSQL's mode `fast`, SIGQUIT its mode `immediate`.
   *
   * @param {'SIGINT' | 'SIGQUIT' | 'SIGKILL'} signal
   */
  async function stop(signal) {
    if (postmaster) await endChild(postmaster, signal);
  }

  /** Sends a signal to every process of the server. @param {NodeJS.Signals} signal */
  function signalAll(signal) {
    const pid = Number(postmaster?.pid);
    const children = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([child, parent]) => (parent === pid && child ? [child] : []));
    // The parent first: a stopped parent starts no more children.
    for (const one of [pid, ...children]) process.kill(one, signal);
  }

  return {
    urlOf,
    start,
    stop,
    signalAll,
    ownedDirectory,
    hasEnded: () => !postmaster || !isRunning(postmaster),
    /** Returns the last five lines of the server's log. */
    lastLog: () => readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-5).join('\n'),
    /**
     * Connects to a database of the cluster for some work.
     *
     * @template Result
     * @param {string} name @param {(client: import('pg').Client) => Promise<Result>} work @returns {Promise<Result>}
     */
    connected: (name, work) => connected(urlOf(name), work),
  };
}

/** @typedef {ReturnType<typeof makeCluster>} Cluster */

/**
 * Runs some work with the service on a cluster of its own, and ends both.
 *
 * @template Result
 * @param {string} directory @param {Record<string, string>} settings of the service
 * @param {(service: import('./service.mjs').Service, cluster: Cluster) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function withServiceOnCluster(directory, settings, work) {
  const cluster = makeCluster(directory);
  /** @type {import('./service.mjs').Service | undefined} */
  let service;
  try {
    await cluster.start();
    service = await prepareService(directory, { DATABASE_URL: cluster.urlOf('postgres'), ...settings });
    service.start();
    await service.ready();
    return await work(service, cluster);
  } finally {
    await service?.end('SIGKILL');
    await cluster.stop('SIGQUIT');
  }
}
