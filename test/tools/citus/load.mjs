/** The load: writers that remember what was acknowledged, a fault meanwhile, and the reading back of everything. */
import { exec } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { startWriters } from '../load/writers.mjs';
import { makeClient } from './client.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../load/writers.mjs').Session} Session
 *
 * @typedef {object} Tick what was answered since the one before
 * @property {number} at milliseconds since the beginning
 * @property {number} acknowledged
 * @property {number} refused
 * @property {boolean} isReady
 *
 * @typedef {object} Outcome
 * @property {number} seconds
 * @property {number} acknowledged
 * @property {number} refused with a 503
 * @property {number} unanswered
 * @property {number} slowest milliseconds
 * @property {number} sessions
 * @property {string[]} losses
 * @property {string[]} wrong answers
 * @property {Fault | undefined} fault
 *
 * @typedef {object} Fault what was seen from the fault on
 * @property {number} outage seconds from the first refusal to the last
 * @property {number} served writes acknowledged meanwhile
 * @property {number} silent the longest time in seconds in which nothing was acknowledged
 * @property {boolean} staysReady
 * @property {boolean} isHealed
 */

const interval = 250;
/** Milliseconds from the kill to the restart. */
const downtime = 10_000;
/** Milliseconds in which the service must heal after the restart. */
const healing = 60_000;
/** Milliseconds in which the read of a session must succeed. */
const patience = 60_000;
const readers = 16;
const run = promisify(exec);

/**
 * @param {Service} service
 * @param {object} options
 * @param {number} options.seconds @param {number} options.writers
 * @param {{ kill: string, restart: string } | undefined} options.fault
 * @param {() => Promise<unknown>} options.settled waits until what was acknowledged can be read
 * @returns {Promise<Outcome>}
 */
export async function runLoad(service, { seconds, writers, fault, settled }) {
  const load = startWriters({ port: service.port, key: service.key, writers, prefix: Date.now().toString(36) });
  const began = performance.now();
  const watched = watch(service, load.counts, began);
  let isHealed = true;
  if (fault) {
    await setTimeout(250 * seconds);
    await run(fault.kill);
    await setTimeout(downtime);
    await run(fault.restart);
    isHealed = await flowing(load, performance.now());
  }
  await setTimeout(Math.max(0, began + 1000 * seconds - performance.now()));
  await load.stop();
  const took = (performance.now() - began) / 1000;
  const ticks = await watched.stop();
  await settled();
  const losses = await readBack(service, load.sessions);
  return {
    ...load.counts,
    seconds: took,
    slowest: load.slowest(),
    sessions: load.sessions.length,
    losses,
    wrong: load.wrong,
    fault: fault && { ...seen(ticks), isHealed },
  };
}

/** Whether every writer is acknowledged what it sends after a moment. @param {ReturnType<typeof startWriters>} load @param {number} moment */
async function flowing(load, moment) {
  while (!load.isFlowingSince(moment)) {
    if (performance.now() - moment > healing) return false;
    await setTimeout(interval);
  }
  return true;
}

/** @param {Service} service @param {{ acknowledged: number, refused: number }} counts @param {number} began */
function watch({ port }, counts, began) {
  /** @type {Tick[]} */
  const ticks = [];
  let isStopped = false;
  async function look() {
    let before = { ...counts };
    while (!isStopped) {
      await setTimeout(interval);
      const health = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
      await health?.arrayBuffer();
      const { acknowledged, refused } = counts;
      ticks.push({
        at: performance.now() - began,
        acknowledged: acknowledged - before.acknowledged,
        refused: refused - before.refused,
        isReady: health?.ok ?? false,
      });
      before = { ...counts };
    }
    return ticks;
  }
  const looking = look();
  return {
    stop() {
      isStopped = true;
      return looking;
    },
  };
}

/** @param {readonly Tick[]} ticks @returns {Omit<Fault, 'isHealed'>} */
function seen(ticks) {
  const first = ticks.findIndex(({ refused }) => refused > 0);
  const last = ticks.findLastIndex(({ refused }) => refused > 0);
  const outage = first === -1 ? [] : ticks.slice(first, last + 1);
  let silent = 0;
  let flowed = outage[0]?.at ?? 0;
  for (const { at, acknowledged } of outage) {
    if (acknowledged > 0) flowed = at;
    silent = Math.max(silent, at - flowed);
  }
  return {
    outage: ((outage.at(-1)?.at ?? 0) - (outage[0]?.at ?? 0)) / 1000,
    served: outage.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    silent: silent / 1000,
    staysReady: ticks.every(({ isReady }) => isReady),
  };
}

/** @param {Service} service @param {readonly Session[]} sessions @returns {Promise<string[]>} what is not as it was acknowledged */
async function readBack(service, sessions) {
  const client = makeClient(service);
  const left = [...sessions];
  /** @type {string[]} */
  const losses = [];
  async function reader() {
    for (let session = left.pop(); session; session = left.pop()) {
      const { id, possible } = session;
      const stored = await read(client, id);
      if (possible.some((state) => isDeepStrictEqual(visible(state), stored))) continue;
      losses.push(
        `${id} is ${JSON.stringify(stored)} and may be ${possible.map((state) => JSON.stringify(visible(state))).join(' or ')}`,
      );
    }
  }
  await Promise.all(Array.from({ length: readers }, reader));
  return losses;
}

/** Returns the part of a state that the API shows. @param {import('../load/operations.mjs').State} state */
function visible({ session, events }) {
  if (!session) return { session, events };
  const { event, ...fields } = session;
  return { session: fields, events };
}

/** @param {import('./client.mjs').Client} client @param {string} id */
async function read({ call, session }, id) {
  const stored = await answered(() => session('GET', id));
  const raw = await answered(() => session('GET', `${id}/stripe-data`));
  const ledger = await answered(() => call('GET', `/api/stripe-events?session_id=${id}&limit=100`));
  const events = Object.fromEntries(ledger.json.results.map((/** @type {any} */ event) => [event.id, event.outcome]));
  if (stored.status === 404) return { session: null, events };
  const { description, client_reference_id, success_url, customer, metadata, display_items } = stored.json;
  const fields = { description, client_reference_id, success_url, customer, metadata, display_items };
  return { session: { ...fields, raw: raw.json.client_reference_id ?? null }, events };
}

/** Repeats a read until it is answered with what is stored. @param {() => Promise<import('./client.mjs').Answer>} ask */
async function answered(ask) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer.status < 500 || Date.now() > end) return answer;
    await setTimeout(interval);
  }
}
