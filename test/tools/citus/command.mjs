/** The commands of the command line, as an operator runs them. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** @typedef {(name: string, ...args: string[]) => Promise<{ code: number, output: string }>} RunCommand */

/** Milliseconds. */
const limit = 120_000;

/** @param {string} url of the database @param {import('./stripe.mjs').StripeApi} stripe @returns {RunCommand} */
export function makeCommand(url, stripe) {
  const env = { PATH: process.env.PATH ?? '', DATABASE_URL: url, ...stripe.environment };
  return (name, ...args) => {
    const path = fileURLToPath(new URL(`../../../dist/cli/${name}.js`, import.meta.url));
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [path, ...args],
        { env, timeout: limit, maxBuffer: 2 ** 28 },
        (error, stdout, stderr) => {
          resolve({ code: error ? Number(error.code ?? 1) : 0, output: `${stdout}${stderr}` });
        },
      );
    });
  };
}
