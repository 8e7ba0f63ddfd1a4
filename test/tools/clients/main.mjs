/** `npm run clients`: see the help below. */
import { parseArgs } from 'node:util';
import { missingOf } from '../lib/program.mjs';
import { startService } from '../lib/service.mjs';
import { messageOf, report, runTool, say, Unavailable } from '../lib/tool.mjs';
import { goClient, javaClient, phpClient, rubyClient, typescriptFetchClient } from './other-languages.mjs';
import { pythonClient } from './python.mjs';
import { rustClients } from './rust.mjs';
import { stripeSdks } from './stripe-sdks.mjs';
import { typescriptClient } from './typescript.mjs';

/**
 * @typedef {object} Client
 * @property {string} name of the language and the generator
 * @property {readonly import('../lib/program.mjs').Need[]} needs
 * @property {(environment: import('../lib/service.mjs').Environment) => Promise<unknown>} test runs the client with this
 *   environment; throws when it fails
 */

/** @type {readonly Client[]} */
const clients = [
  ...rustClients,
  ...[pythonClient, typescriptClient, typescriptFetchClient],
  ...[goClient, javaClient, phpClient, rubyClient],
  ...stripeSdks,
];

const help = `Usage: npm run clients -- [NAME…]

Generates clients from the reviewed contract, in the way that users do. Each client creates, reads, lists, patches and
deletes sessions of the running service, and compares the answers with its requests. Stripe's own SDKs read sessions. Also
runs the examples of the documentation. Uses the server of TEST_DATABASE_URL if it is set, else the embedded database.
Keeps its downloads in a temporary folder, or in the one that TOOLS_CACHE names.

  NAME   only the clients with this text in their name, in any case

Clients:
${clients.map(({ name }) => `  ${name}\n`).join('')}
Skips a client whose language this machine lacks. Exits with 1 when a client fails, with 77 when all are skipped.
`;

/** @param {string[]} args @returns {readonly Client[]} the chosen clients */
function readOptions(args) {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  const texts = positionals.map((text) => text.toLowerCase());
  if (texts.length === 0) return clients;
  const chosen = clients.filter(({ name }) => texts.some((text) => name.toLowerCase().includes(text)));
  if (chosen.length === 0) throw new Error(`No client has ${positionals.join(' or ')} in its name.`);
  return chosen;
}

/**
 * Runs a client against an empty service of its own.
 *
 * @param {Client} client
 * @returns {Promise<string[]>} its failure
 */
async function failuresOf({ test }) {
  const service = await startService();
  try {
    await test(service.environment);
    return [];
  } catch (error) {
    return [messageOf(error)];
  } finally {
    await service.stop();
  }
}

await runTool(help, readOptions, async (chosen) => {
  let ran = 0;
  let failed = 0;
  for (const client of chosen) {
    const missing = missingOf(client.needs);
    if (missing.length > 0) {
      say(`${client.name}: skipped, as this machine lacks ${missing.join(' and ')}`);
      continue;
    }
    const failures = await failuresOf(client);
    report(client.name, failures);
    ran += 1;
    failed += failures.length;
  }
  if (ran === 0) throw new Unavailable('this machine lacks the languages of all clients');
  return failed === 0;
});
