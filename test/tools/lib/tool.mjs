/** The frame of a run: a temporary folder, which goes with it, and the exit code. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from './cluster.mjs';

/** The exit code of a run that cannot be made here. */
const unavailable = 77;

export const say = (/** @type {string} */ line) => process.stdout.write(`${line}\n`);

/**
 * @template Options
 * @param {(args: string[]) => Options} readOptions throws what is wrong with them
 * @param {(directory: string, options: Options) => Promise<boolean>} work resolves to whether all is well
 * @returns {Promise<void>} with the exit code set: 0, 1, 2 for wrong options, 77 where the work finds no server
 */
export async function inRun(readOptions, work) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
  const directory = mkdtempSync(join(tmpdir(), 'checkout-session-faults-'));
  // Last of all: whatever ends the run, what runs in the folder is ended first.
  process.once('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }));
  // The server may run as another user.
  chmodSync(directory, 0o755);
  try {
    const options = optionsOf(readOptions);
    if (options && !(await work(directory, options))) process.exitCode = 1;
  } catch (error) {
    say(error instanceof Unavailable ? error.message : String(/** @type {Error} */ (error).stack));
    process.exitCode = error instanceof Unavailable ? unavailable : 1;
  }
}

/** @template Options @param {(args: string[]) => Options} readOptions @returns {Options | undefined} */
function optionsOf(readOptions) {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    say(/** @type {Error} */ (error).message);
    process.exitCode = 2;
    return undefined;
  }
}
