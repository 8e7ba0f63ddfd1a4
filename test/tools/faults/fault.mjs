/** One fault: the load before, during and after it, and the database in the end. */
import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { send } from '../lib/request.mjs';
import { messageOf } from '../lib/tool.mjs';
import { sessionsPath } from '../load/operations.mjs';
import { startWriters } from '../load/writers.mjs';
import { startFollower } from './follower.mjs';
import { verify } from './verify.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../load/writers.mjs').Load} Load
 * @typedef {import('../load/writers.mjs').Session} Session
 * @typedef {import('./verify.mjs').Query} Query
 *
 * @typedef {object} Fault
 * @property {string} name
 * @property {(load: Load) => Promise<void>} inflict causes the fault, and repairs it if the service cannot do so alone
 * @property {boolean} [endsService] whether requests may stay unanswered
 * @property {boolean} [refuses] whether the service must refuse writes: otherwise the fault had no effect
 *
 * @typedef {object} Outcome
 * @property {string} name
 * @property {number} acknowledged
 * @property {number} refused
 * @property {number} unanswered
 * @property {number} slowest milliseconds
 * @property {number} recovery milliseconds from the end of the fault until the writes of every writer were acknowledged again
 * @property {string[]} losses acknowledged writes that are lost, and half-written sessions
 * @property {string[]} failures all other violations
 * @property {readonly Session[]} sessions
 */

const writers = 16;
/** Milliseconds of load before and after the fault. */
const steadyTime = 400;
/** Milliseconds in which the service must recover, including a restart. */
const recoveryLimit = 30_000;
/** Milliseconds: DATABASE_STATEMENT_TIMEOUT_MS of the service. */
export const statementTimeout = 1000;
/** Milliseconds in which a request is answered, whatever the database does: a wait for a connection, then a statement. */
export const answerLimit = 2 * (statementTimeout + 1000) + 500;

let faults = 0;

/**
 * Inflicts a fault under load.
 *
 * @param {Service} service @param {Query} query @param {Fault} fault
 * @returns {Promise<Outcome>}
 */
export async function runFault(service, query, fault) {
  faults += 1;
  const follower = startFollower(service);
  await follower.ready();
  const load = startWriters(service, { writers, prefix: String(faults) });
  /** @type {string[]} */
  const failures = [];
  let recovery = Number.NaN;
  try {
    await flowing(load);
    await setTimeout(steadyTime * Math.random());
    await fault.inflict(load);
    recovery = await flowing(load);
    await setTimeout(steadyTime);
    if (!service.isRunning()) failures.push('the service ended');
  } catch (error) {
    failures.push(`${messageOf(error)}\n${service.lastLog()}`);
  } finally {
    await load.stop();
  }
  const { sessions, counts, wrong } = load;
  if (fault.refuses && counts.refused === 0) failures.push('the service refused no write: the fault had no effect');
  if (!fault.endsService && counts.unanswered > 0) failures.push(`${counts.unanswered} requests had no answer`);
  if (load.slowest() > answerLimit) failures.push(`an answer took ${Math.round(load.slowest())} ms`);
  const losses = [...(await verify(query, sessions)), ...(await follower.stop(query, sessions))];
  failures.push(...wrong, ...(await readBack(service, query, sessions)));
  return { name: fault.name, ...counts, slowest: load.slowest(), recovery, losses, failures, sessions };
}

/** @param {Load} load @throws when the service does not recover */
async function flowing(load) {
  const took = await load.flowing(recoveryLimit);
  if (Number.isNaN(took)) throw new Error(`the service did not recover in ${recoveryLimit} ms`);
  return took;
}

/** Sessions to read back: as many of those with a write in doubt, and as many of the newest. */
const sampleSize = 50;

/**
 * Checks that the recovered service serves the content of the database.
 *
 * @param {Service} service @param {Query} query @param {readonly Session[]} sessions
 * @returns {Promise<string[]>} the differences
 */
async function readBack(service, query, sessions) {
  const inDoubt = sessions.filter(({ possible }) => possible.length > 1);
  const ids = [...inDoubt.slice(0, sampleSize), ...sessions.slice(-sampleSize)].map(({ id }) => id);
  const { rows } = await query('SELECT id, document FROM checkout_session WHERE id = ANY($1) AND version <> 0', [ids]);
  const documents = new Map(rows.map(({ id, document }) => [id, JSON.parse(document)]));
  const agent = new Agent({ keepAlive: true });
  const failures = [];
  for (const id of ids) {
    const answer = await send(agent, service, { method: 'GET', path: `${sessionsPath}/${id}` });
    const served = answer.status === 200 ? JSON.parse(answer.text) : undefined;
    if (!isDeepStrictEqual(served, documents.get(id)))
      failures.push(`${id} is served as ${answer.status} ${answer.text}`);
  }
  agent.destroy();
  return failures;
}
