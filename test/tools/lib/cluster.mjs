/** A PostgreSQL server of the run's own, in a temporary folder, that can be harmed without harming others. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from './service.mjs';

/** Milliseconds that a start may take, with the recovery after a crash. */
const patience = 60_000;
const isRoot = process.getuid?.() === 0;

/** A run that cannot be made here: `npm run faults` ends with a code of its own. */
export class Unavailable extends Error {}

/** The folder of PostgreSQL's programs: PG_BIN, else Debian's newest, else on the PATH. */
function findPrograms() {
  const { PG_BIN, PATH = '' } = process.env;
  const debian = '/usr/lib/postgresql';
  const versions = listOf(debian).sort((one, other) => Number(other) - Number(one));
  const folders = PG_BIN
    ? [PG_BIN]
    : [...versions.map((version) => join(debian, version, 'bin')), ...PATH.split(delimiter)];
  const found = folders.find((folder) => isProgram(join(folder, 'initdb')) && isProgram(join(folder, 'postgres')));
  if (!found)
    throw new Unavailable(
      'There is no PostgreSQL server on this machine: install one, or name its programs with PG_BIN.',
    );
  return found;
}

/** @param {string} path */
function listOf(path) {
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

/** Whom the server runs as: it refuses root. */
function findUser() {
  if (!isRoot) return undefined;
  try {
    const idOf = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'postgres'], { stdio: 'pipe' }));
    return { uid: idOf('-u'), gid: idOf('-g') };
  } catch {
    throw new Unavailable('PostgreSQL refuses to run as root, and there is no user postgres here.');
  }
}

/**
 * Makes a cluster with initdb; it is not started.
 *
 * @param {string} directory an empty one, which others may enter
 * @param {{ wal?: string | undefined }} [places] another folder for the write-ahead log
 */
export function makeCluster(directory, { wal } = {}) {
  const programs = findPrograms();
  const user = findUser();
  const data = ownedDirectory(join(directory, 'data'));
  if (wal) ownedDirectory(wal);
  const log = openSync(join(directory, 'postgres.log'), 'a');
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' };
  const options = [
    '-A',
    'trust',
    '-U',
    'postgres',
    '-E',
    'UTF8',
    '--wal-segsize=1',
    ...(wal ? [`--waldir=${wal}`] : []),
  ];
  execFileSync(join(programs, 'initdb'), ['-D', data, ...options], {
    ...user,
    env,
    cwd: data,
    stdio: ['ignore', log, log],
  });

  /** A folder that the server may write. @param {string} path */
  function ownedDirectory(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (user) chownSync(path, user.uid, user.gid);
    return path;
  }

  /** @type {import('node:child_process').ChildProcess | undefined} */
  let postmaster;
  let port = 0;
  const kill = () => postmaster?.kill('SIGQUIT');
  const urlOf = (/** @type {string} */ name) => `postgresql://postgres@127.0.0.1:${port}/${name}`;

  /** @template Result @param {string} name @param {(client: pg.Client) => Promise<Result>} work @returns {Promise<Result>} */
  async function connected(name, work) {
    const client = new pg.Client({ connectionString: urlOf(name), application_name: 'faults' });
    // It may be ended with the server.
    client.on('error', () => {});
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Starts the server where it does not run, and waits until it takes connections. */
  async function start() {
    port ||= await freePort();
    const settings = Object.entries({
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: data,
      min_wal_size: '2MB',
      max_wal_size: '64MB',
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(join(programs, 'postgres'), ['-D', data, ...settings], {
      ...user,
      env,
      cwd: data,
      stdio: ['ignore', log, log],
    });
    postmaster = child;
    process.prependOnceListener('exit', kill);
    const began = performance.now();
    for (;;) {
      if (hasEnded(child)) throw new Error(`PostgreSQL ended with ${child.exitCode ?? child.signalCode}`);
      try {
        return await connected('postgres', (client) => client.query('SELECT'));
      } catch (error) {
        if (performance.now() - began > patience) throw new Error('PostgreSQL does not start', { cause: error });
        await setTimeout(20);
      }
    }
  }

  /** Ends the server. @param {'SIGINT' | 'SIGQUIT' | 'SIGKILL'} signal SIGINT is its mode `fast`, SIGQUIT `immediate` */
  async function stop(signal) {
    const child = postmaster;
    if (!child || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    process.off('exit', kill);
  }

  /** Sends a signal to all its processes. @param {NodeJS.Signals} signal */
  function signalAll(signal) {
    const pid = Number(postmaster?.pid);
    const children = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([child, parent]) => (parent === pid && child ? [child] : []));
    // The parent first: it makes no more of them meanwhile.
    for (const one of [pid, ...children]) process.kill(one, signal);
  }

  return {
    urlOf,
    connected,
    start,
    stop,
    signalAll,
    ownedDirectory,
    hasEnded: () => !postmaster || hasEnded(postmaster),
    /** The last that it logged. */
    log: () => readFileSync(join(directory, 'postgres.log'), 'utf8').split('\n').slice(-6).join('\n'),
  };
}

/** @typedef {ReturnType<typeof makeCluster>} Cluster */

/** @param {import('node:child_process').ChildProcess} child */
const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;
