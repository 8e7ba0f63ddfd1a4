/** Checks every operation of the service, group by group. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../lib/command.mjs';
import { say } from '../lib/tool.mjs';
import { checkCommands } from './checks/commands.mjs';
import { checkFromStripe } from './checks/from-stripe.mjs';
import { checkLists } from './checks/lists.mjs';
import { checkService } from './checks/service.mjs';
import { checkSessions } from './checks/sessions.mjs';
import { checkStripeReads } from './checks/stripe-reads.mjs';
import { checkWebhooks } from './checks/webhooks.mjs';
import { makeClient } from './client.mjs';
import { checkScheduled } from './scheduled.mjs';

/**
 * @typedef {(name: string, condition: unknown, seen?: unknown) => void} Check
 *
 * @typedef {object} Trial the surroundings of a group of checks
 * @property {Check} check records whether a condition holds; `seen` explains a failure
 * @property {import('./client.mjs').Client} client
 * @property {(name: string, ...args: string[]) => ReturnType<typeof runCommand>} command runs a command on the database
 * @property {import('../lib/stripe-api.mjs').StripeApi} stripe
 * @property {import('../lib/service.mjs').Service} service
 * @property {boolean} isDistributed whether the database is on Citus
 * @property {string} directory for files
 * @property {string} run a word that is unique to this run
 * @property {(name: string | number) => string} idOf returns the id of a session of this run
 */

/** The order matters: later groups read the sessions of earlier ones. @type {readonly (readonly [string, (trial: Trial) => Promise<void>])[]} */
const groups = [
  ['service', checkService],
  ['sessions', checkSessions],
  ['webhooks', checkWebhooks],
  ['lists', checkLists],
  ['stripe reads', checkStripeReads],
  ['from stripe', checkFromStripe],
  ['commands', checkCommands],
];

/** Characters of an answer that a failed check prints. */
const printed = 400;

/**
 * Runs the checks.
 *
 * @param {object} options
 * @param {string} options.url of the database
 * @param {string} options.directory
 * @param {import('../lib/service.mjs').Service} options.service
 * @param {import('../lib/stripe-api.mjs').StripeApi} options.stripe
 * @param {boolean} options.isDistributed
 * @param {string} options.only a text in the names of the groups to run
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function runChecks({ url, directory, service, stripe, isDistributed, only }) {
  const counts = { passed: 0, failed: 0 };
  /** @type {Check} */
  const check = (name, condition, seen) => {
    counts[condition ? 'passed' : 'failed'] += 1;
    if (!condition) say(`FAILED: ${name}: ${JSON.stringify(seen)?.slice(0, printed)}`);
  };
  const run = Date.now().toString(36);
  const files = join(directory, `checks-${run}`);
  mkdirSync(files);
  const trial = {
    ...{ check, service, stripe, isDistributed, run, directory: files },
    client: makeClient(service),
    command: (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
      runCommand(name, args, { DATABASE_URL: url, ...stripe.settings }),
    idOf: (/** @type {string | number} */ name) => `cs_test_${run}_${name}`,
  };
  for (const [name, work] of groups.filter(([name]) => name.includes(only))) {
    // An answer of an unexpected shape fails its group, not the run.
    await work(trial).catch((error) => check(name, false, String(/** @type {Error} */ (error).stack)));
  }
  if ('scheduled work'.includes(only)) await checkScheduled({ url, directory: files, stripe, check });
  // Citus answers the change feed with 501, which is logged as an error.
  const errors = service.errors().filter((line) => !line.includes('"code":"changes-not-supported"'));
  check('the service logged no error', errors.length === 0, errors);
  return counts;
}
