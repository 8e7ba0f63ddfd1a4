/** The frame of a run: a temporary folder, which goes with it, and the exit code. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from './cluster.mjs';

/** The exit code of a run that cannot be made here. */
const unavailable = 77;

export const say = (/** @type {string} */ line) => process.stdout.write(`${line}\n`);

/**
 * @param {(directory: string) => Promise<boolean>} work resolves to whether all is well
 * @returns {Promise<void>} with the exit code set: 0, 1, or 77 where the work found no server to work on
 */
export async function inRun(work) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
  const directory = mkdtempSync(join(tmpdir(), 'checkout-session-faults-'));
  // The server may run as another user.
  chmodSync(directory, 0o755);
  try {
    if (!(await work(directory))) process.exitCode = 1;
  } catch (error) {
    say(error instanceof Unavailable ? error.message : String(/** @type {Error} */ (error).stack));
    process.exitCode = error instanceof Unavailable ? unavailable : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
