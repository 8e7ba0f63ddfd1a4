/** What the generated clients are made with: programs of the machine, and a cache outside of the repository. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const cache = process.env.CLIENTS_CACHE ?? join(tmpdir(), 'checkout-session-clients');

/**
 * What a client needs of the machine: a program, or a library with the command that succeeds where it is there.
 *
 * @typedef {string | { name: string, probe: readonly [program: string, ...args: string[]] }} Need
 */

/** Whether a program is in the PATH, or a library where its language finds it. @param {Need} need */
export function isInstalled(need) {
  if (typeof need === 'string') return isInPath(need);
  const [program, ...args] = need.probe;
  return isInPath(program) && spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** @param {string} program */
function isInPath(program) {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd'] : [''];
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => suffixes.some((suffix) => existsSync(join(folder, program + suffix))));
}

/**
 * A folder of the cache, made once; what was half made by a run that was killed is made again.
 *
 * @param {string} name holds the exact versions of what is in it
 * @param {(folder: string) => Promise<unknown>} make
 * @returns {Promise<string>} its path
 */
export async function cachedFolder(name, make) {
  const folder = join(cache, name);
  const complete = join(folder, '.complete');
  if (existsSync(complete)) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await make(folder);
  await mkdir(complete);
  return folder;
}

/** An empty folder of the cache, whatever the last run left in it. @param {string} name */
export async function emptyFolder(name) {
  const folder = join(cache, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}

/**
 * Runs a program to its end. Throws with all that it wrote when it fails or takes longer than ten minutes.
 *
 * @param {string} program @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, shell?: boolean }} [options] `env` is added to this process's;
 * with `shell`, the program is a whole command line
 * @returns {Promise<string>} what it wrote
 */
export async function run(program, args, { cwd, env, shell = false } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    // npm is a script there, which only a shell runs.
    shell: shell || (process.platform === 'win32' && program === 'npm'),
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      written += text;
    });
  }
  /** @type {number | string | null} */
  const ended = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(code ?? signal));
  });
  if (ended !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${ended}:\n${written}`);
  return written;
}

/**
 * A virtual environment with the packages of a requirements file.
 *
 * @param {string} name @param {readonly string[]} packages as pip takes them, with exact versions
 * @returns {Promise<(program: string) => string>} the path of a program in it
 */
export async function pythonEnvironment(name, packages) {
  const inside = process.platform === 'win32' ? 'Scripts' : 'bin';
  const folder = await cachedFolder(name, async (directory) => {
    await run(python, ['-m', 'venv', directory]);
    await run(join(directory, inside, 'python'), ['-m', 'pip', 'install', '--quiet', ...packages]);
  });
  return (program) => join(folder, inside, program);
}

/** What Python is called. */
export const python = process.platform === 'win32' ? 'python' : 'python3';
