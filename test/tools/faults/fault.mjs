/** One fault: the load before, during and after it, and what the database holds in the end. */
import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { statementTimeout } from '../lib/service.mjs';
import { sessionsPath } from '../load/operations.mjs';
import { ask, startWriters } from '../load/writers.mjs';
import { startFollower } from './follower.mjs';
import { verify } from './verify.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {ReturnType<typeof startWriters>} Load
 *
 * @typedef {object} Fault
 * @property {string} name
 * @property {(load: Load) => Promise<void>} happen brings it about and, where that takes a hand, mends it
 * @property {boolean} [endsService] else every request must be answered, and none too late
 * @property {boolean} [refuses] some must be refused: else it did not happen
 *
 * @typedef {object} Outcome
 * @property {string} name
 * @property {number} acknowledged
 * @property {number} refused
 * @property {number} unanswered
 * @property {number} slowest milliseconds
 * @property {number} healed milliseconds from the end of the fault until every writer was acknowledged a write
 * @property {string[]} losses what is not as it was acknowledged, or half written
 * @property {string[]} failures whatever else may not be
 * @property {readonly import('../load/writers.mjs').Session[]} sessions
 */

const writers = 16;
/** Milliseconds of load before and after. */
const around = 400;
/** Milliseconds in which it must heal, a start included. */
const healing = 30_000;
/** Milliseconds in which a request is answered whatever the database does: the wait for a connection, the statement. */
export const answerLimit = 2 * (statementTimeout + 1000) + 500;

let faults = 0;

/**
 * @param {Service} service @param {import('./verify.mjs').Query} query @param {Fault} fault
 * @returns {Promise<Outcome>}
 */
export async function suffer(service, query, fault) {
  faults += 1;
  const follower = startFollower(service);
  await follower.ready();
  const load = startWriters({ port: service.port, key: service.key, writers, prefix: String(faults) });
  /** @type {string[]} */
  const failures = [];
  let healed = Number.NaN;
  try {
    await flowing(load, performance.now());
    await setTimeout(around * Math.random());
    await fault.happen(load);
    healed = await flowing(load, performance.now());
    await setTimeout(around);
    if (!service.isRunning()) failures.push('the service ended');
  } catch (error) {
    failures.push(`${/** @type {Error} */ (error).message}\n${service.lastLog()}`);
  } finally {
    await load.stop();
  }
  const { sessions, counts, wrong } = load;
  if (fault.refuses && counts.refused === 0) failures.push('nothing was refused: the fault did not happen');
  if (!fault.endsService && counts.unanswered > 0) failures.push(`${counts.unanswered} requests had no answer`);
  if (load.slowest() > answerLimit) failures.push(`an answer took ${Math.round(load.slowest())} ms`);
  const losses = [...(await verify(query, sessions)), ...(await follower.stop(query, sessions))];
  failures.push(...wrong, ...(await readBack(service, query, sessions)));
  return { name: fault.name, ...counts, slowest: load.slowest(), healed, losses, failures, sessions };
}

/** Milliseconds from a moment until every writer was acknowledged what it sent after it. @param {Load} load @param {number} moment */
async function flowing(load, moment) {
  while (!load.isFlowingSince(moment)) {
    if (performance.now() - moment > healing) throw new Error(`not healed after ${healing} ms`);
    await setTimeout(5);
  }
  return performance.now() - moment;
}

/** Sessions that are read back of those that the fault met, and of the newest. */
const sample = 50;

/**
 * Whether the service that has healed serves what the database holds.
 *
 * @param {Service} service @param {import('./verify.mjs').Query} query
 * @param {readonly import('../load/writers.mjs').Session[]} sessions
 */
async function readBack(service, query, sessions) {
  const met = sessions.filter(({ possible }) => possible.length > 1);
  const ids = [...met.slice(0, sample), ...sessions.slice(-sample)].map(({ id }) => id);
  const { rows } = await query('SELECT id, document FROM checkout_session WHERE id = ANY($1) AND version <> 0', [ids]);
  const documents = new Map(rows.map(({ id, document }) => [id, JSON.parse(document)]));
  const agent = new Agent({ keepAlive: true });
  const failures = [];
  for (const id of ids) {
    const answer = await ask(agent, service.port, service.key, { method: 'GET', path: `${sessionsPath}/${id}` });
    const served = answer.status === 200 ? JSON.parse(answer.text) : undefined;
    if (!isDeepStrictEqual(served, documents.get(id)))
      failures.push(`${id} is served as ${answer.status} ${answer.text}`);
  }
  agent.destroy();
  return failures;
}
