/** Programs of this machine, and a cache outside of the repository for their downloads. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const cache = process.env.TOOLS_CACHE ?? join(tmpdir(), 'checkout-session-tools');

/** The name of Python on this system. */
export const python = process.platform === 'win32' ? 'python' : 'python3';

/**
 * Something that a tool needs: a program, or a library with a command that succeeds if the library is installed.
 *
 * @typedef {string | { name: string, probe: readonly [program: string, ...args: string[]] }} Need
 */

/** Returns the names of the needs that this machine lacks. @param {readonly Need[]} needs */
export function missingOf(needs) {
  return needs.filter((need) => !isInstalled(need)).map((need) => (typeof need === 'string' ? need : need.name));
}

/** @param {Need} need */
function isInstalled(need) {
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
 * Returns a folder of the cache, which is filled once. A folder that a killed run left incomplete is filled again.
 *
 * @param {string} name with the exact versions of the content
 * @param {(folder: string) => Promise<unknown>} fill
 * @returns {Promise<string>} its path
 */
export async function cachedFolder(name, fill) {
  const folder = join(cache, name);
  const complete = join(folder, '.complete');
  if (existsSync(complete)) return folder;
  await emptyFolder(name);
  await fill(folder);
  await mkdir(complete);
  return folder;
}

/** Returns a folder of the cache without the files of earlier runs. @param {string} name */
export async function emptyFolder(name) {
  const folder = join(cache, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}

/**
 * Runs a program until it ends.
 *
 * @param {string} program @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, shell?: boolean }} [options] `env` is added to this process's
 *   environment; with `shell`, the program is a whole command line
 * @returns {Promise<string>} its output
 * @throws with its output, when it fails or takes more than ten minutes
 */
export async function run(program, args, { cwd, env, shell = false } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    // On Windows npm is a script, which only a shell runs.
    shell: shell || (process.platform === 'win32' && program === 'npm'),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  /** @type {number | string | null} */
  const ended = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(code ?? signal));
  });
  if (ended !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${ended}:\n${output}`);
  return output;
}

/**
 * Makes a virtual environment of Python.
 *
 * @param {string} name @param {readonly string[]} packages for pip, with exact versions
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
