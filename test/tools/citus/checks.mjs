/** Runs the checks: every operation of the service, group by group. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { say } from '../lib/tool.mjs';
import { checkCommands } from './checks/commands.mjs';
import { checkFromStripe } from './checks/from-stripe.mjs';
import { checkLists } from './checks/lists.mjs';
import { checkService } from './checks/service.mjs';
import { checkSessions } from './checks/sessions.mjs';
import { checkStripeReads } from './checks/stripe-reads.mjs';
import { checkWebhooks } from './checks/webhooks.mjs';
import { makeClient } from './client.mjs';
import { makeCommand } from './command.mjs';
import { checkScheduled } from './scheduled.mjs';

/**
 * @typedef {(name: string, condition: unknown, seen?: unknown) => void} Check
 *
 * @typedef {object} Trial what a group of checks works with
 * @property {Check} check records whether a condition holds; `seen` tells why not
 * @property {import('./client.mjs').Client} client
 * @property {import('./command.mjs').RunCommand} command
 * @property {import('./stripe.mjs').StripeApi} stripe
 * @property {import('../lib/service.mjs').Service} service
 * @property {boolean} isDistributed whether it is on Citus
 * @property {string} directory for files
 * @property {string} run a word that no other run has
 * @property {(name: string | number) => string} idOf the id of a session of this run
 */

/** In this order: later groups read what earlier ones wrote. @type {readonly (readonly [string, (trial: Trial) => Promise<void>])[]} */
const groups = [
  ['service', checkService],
  ['sessions', checkSessions],
  ['webhooks', checkWebhooks],
  ['lists', checkLists],
  ['stripe reads', checkStripeReads],
  ['from stripe', checkFromStripe],
  ['commands', checkCommands],
];

/** Characters of an answer that a failed check shows. */
const shown = 400;

/**
 * @param {object} options
 * @param {string} options.url of the database
 * @param {string} options.directory
 * @param {import('../lib/service.mjs').Service} options.service
 * @param {import('./stripe.mjs').StripeApi} options.stripe
 * @param {boolean} options.isDistributed
 * @param {string} options.only part of the names of the groups to run
 * @returns {Promise<{ passed: number, failed: number }>}
 */
export async function runChecks({ url, directory, service, stripe, isDistributed, only }) {
  const counts = { passed: 0, failed: 0 };
  /** @type {Check} */
  const check = (name, condition, seen) => {
    counts[condition ? 'passed' : 'failed'] += 1;
    if (!condition) say(`FAILED: ${name}: ${JSON.stringify(seen)?.slice(0, shown)}`);
  };
  const run = Date.now().toString(36);
  const files = join(directory, `checks-${run}`);
  mkdirSync(files);
  const trial = {
    ...{ check, service, stripe, isDistributed, run, directory: files },
    client: makeClient(service),
    command: makeCommand(url, stripe),
    idOf: (/** @type {string | number} */ name) => `cs_test_${run}_${name}`,
  };
  for (const [name, work] of groups.filter(([name]) => name.includes(only))) {
    // An answer of another shape than expected fails the group, not the run.
    await work(trial).catch((error) => check(name, false, String(/** @type {Error} */ (error).stack)));
  }
  if ('scheduled work'.includes(only)) await checkScheduled({ url, directory: files, stripe, check });
  const errors = service
    .wholeLog()
    .split('\n')
    // The refusal of the change feed is a 501.
    .filter((line) => /"level":"(error|fatal)"/.test(line) && !line.includes('"code":"changes-not-supported"'));
  check('the service logged no error', errors.length === 0, errors);
  return counts;
}
