/**
 * Generates clients from the reviewed contract as strangers would, and lets each create, read, list, patch and delete
 * sessions of the running service and compare what it read. A language whose toolchain is not on this machine is
 * reported and left out; where that leaves none, the exit code is 77. With names of clients as arguments, those alone.
 */

import { isInstalled } from '../lib/program.mjs';
import { goClient, javaClient, phpClient, rubyClient, typescriptFetchClient } from './other-languages.mjs';
import { pythonClient } from './python.mjs';
import { rustClients } from './rust.mjs';
import { startService } from './service.mjs';
import { stripeSdks } from './stripe-sdks.mjs';
import { typescriptClient } from './typescript.mjs';

/**
 * @typedef {object} Client
 * @property {string} name of the language and the generator
 * @property {readonly import('../lib/program.mjs').Need[]} needs
 * @property {(environment: import('./service.mjs').Environment) => Promise<unknown>} test throws when anything is not as
 * expected; what it is given is the environment of the client's program
 */

/** @type {readonly Client[]} */
const clients = [
  ...rustClients,
  ...[pythonClient, typescriptClient, typescriptFetchClient],
  ...[goClient, javaClient, phpClient, rubyClient],
  ...stripeSdks,
];

const wanted = process.argv.slice(2).map((name) => name.toLowerCase());
const chosen = clients.filter(
  ({ name }) => wanted.length === 0 || wanted.some((one) => name.toLowerCase().includes(one)),
);
if (chosen.length === 0) {
  process.stderr.write(`no such client; there are\n${clients.map(({ name }) => `  ${name}\n`).join('')}`);
  process.exit(2);
}

let ran = 0;
for (const { name, needs, test } of chosen) {
  const missing = needs
    .filter((need) => !isInstalled(need))
    .map((need) => (typeof need === 'string' ? need : need.name));
  if (missing.length > 0) {
    report(name, `not run because ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`);
    continue;
  }
  ran++;
  // Each finds the service as the first of all did: empty.
  const service = await startService();
  try {
    await test(service.environment);
    report(name, 'passed');
  } catch (error) {
    process.exitCode = 1;
    report(name, `failed\n${error instanceof Error ? error.message : error}`);
  } finally {
    await service.stop();
  }
}

if (ran === 0) process.exitCode = 77;

/** @param {string} name @param {string} outcome */
function report(name, outcome) {
  process.stdout.write(`${name}: ${outcome}\n`);
}
