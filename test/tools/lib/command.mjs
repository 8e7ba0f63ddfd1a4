import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { environmentWith } from './child.mjs';

/** Milliseconds. A migration of a large table takes minutes. */
const limit = 600_000;

/**
 * Runs a command of the service's command line, such as `migrate`, until it ends.
 *
 * @param {string} name @param {readonly string[]} args @param {Record<string, string>} settings its environment variables
 * @returns {Promise<{ code: number, output: string }>} the exit code, and everything that the command wrote
 */
export function runCommand(name, args, settings) {
  const path = fileURLToPath(new URL(`../../../dist/cli/${name}.js`, import.meta.url));
  const options = { env: environmentWith(settings), timeout: limit, maxBuffer: 2 ** 28 };
  return new Promise((resolve) => {
    execFile(process.execPath, [path, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: `${stdout}${stderr}` });
    });
  });
}

/**
 * Migrates a database.
 *
 * @param {Record<string, string>} settings DATABASE_URL or DATA_DIR @throws with the command's output
 */
export async function migrate(settings) {
  const { code, output } = await runCommand('migrate', [], settings);
  if (code !== 0) throw new Error(`the database cannot be migrated: ${output}`);
}
