/** The load: writers that record the acknowledged writes, a fault during the writes, and a read of every session afterwards. */
import { exec } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { startWriters } from '../load/writers.mjs';
import { makeClient } from './client.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../load/writers.mjs').Session} Session
 *
 * @typedef {object} Tick the answers since the previous tick
 * @property {number} at milliseconds since the start
 * @property {number} acknowledged
 * @property {number} refused
 * @property {readonly string[]} kinds of the acknowledged writes
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
 * @property {Outage | undefined} outage
 *
 * @typedef {object} Outage the effect of the fault
 * @property {number} seconds from the first refusal to the last
 * @property {number} served writes acknowledged in this time
 * @property {Record<string, number>} servedByKind
 * @property {number} silent seconds of the longest time without an acknowledged write
 * @property {boolean} staysReady
 * @property {boolean} hasRecovered
 */

/** Milliseconds between ticks. */
const interval = 250;
/** Milliseconds from the kill to the restart. */
const downtime = 10_000;
/** Milliseconds in which the service must recover after the restart. */
const recoveryLimit = 60_000;
/** Milliseconds in which the read of a session must succeed. */
const readLimit = 60_000;
const readers = 16;
const runShell = promisify(exec);

/**
 * Writes for some time, with a fault if there is one, and reads every session back.
 *
 * @param {Service} service
 * @param {object} options
 * @param {number} options.seconds @param {number} options.writers
 * @param {{ kill: string, restart: string } | undefined} options.fault
 * @param {() => Promise<unknown>} options.settled waits until every acknowledged write can be read
 * @returns {Promise<Outcome>}
 */
export async function runLoad(service, { seconds, writers, fault, settled }) {
  /** @type {string[]} */
  const acknowledged = [];
  const load = startWriters(service, {
    writers,
    prefix: Date.now().toString(36),
    onAcknowledged: (operation) => acknowledged.push(kindOf(operation)),
  });
  const began = performance.now();
  const watched = watch(service, load.counts, acknowledged, began);
  let hasRecovered = true;
  if (fault) {
    await setTimeout(250 * seconds);
    await runShell(fault.kill);
    await setTimeout(downtime);
    await runShell(fault.restart);
    hasRecovered = !Number.isNaN(await load.flowing(recoveryLimit));
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
    outage: fault && { ...outageOf(ticks), hasRecovered },
  };
}

const kinds = ['create', 'PUT', 'PATCH', 'DELETE', 'event'];

/** Returns the kind of a write. @param {import('../load/operations.mjs').Operation} operation */
function kindOf({ method, path }) {
  if (path.startsWith('/webhooks')) return 'event';
  return method === 'POST' ? 'create' : method;
}

/**
 * Records the answers and the readiness of the service.
 *
 * @param {Service} service @param {{ acknowledged: number, refused: number }} counts
 * @param {readonly string[]} acknowledged the kinds of the acknowledged writes @param {number} began
 */
function watch({ url }, counts, acknowledged, began) {
  /** @type {Tick[]} */
  const ticks = [];
  let isStopped = false;
  async function record() {
    let before = { ...counts };
    while (!isStopped) {
      await setTimeout(interval);
      const health = await fetch(`${url}/health/ready`).catch(() => undefined);
      await health?.arrayBuffer();
      const now = { ...counts };
      ticks.push({
        at: performance.now() - began,
        acknowledged: now.acknowledged - before.acknowledged,
        refused: now.refused - before.refused,
        kinds: acknowledged.slice(before.acknowledged, now.acknowledged),
        isReady: health?.ok ?? false,
      });
      before = now;
    }
    return ticks;
  }
  const recording = record();
  return {
    stop() {
      isStopped = true;
      return recording;
    },
  };
}

/** @param {readonly Tick[]} ticks @returns {Omit<Outage, 'hasRecovered'>} */
function outageOf(ticks) {
  const first = ticks.findIndex(({ refused }) => refused > 0);
  const last = ticks.findLastIndex(({ refused }) => refused > 0);
  const during = first === -1 ? [] : ticks.slice(first, last + 1);
  let silent = 0;
  let flowed = during[0]?.at ?? 0;
  for (const { at, acknowledged } of during) {
    if (acknowledged > 0) flowed = at;
    silent = Math.max(silent, at - flowed);
  }
  return {
    seconds: ((during.at(-1)?.at ?? 0) - (during[0]?.at ?? 0)) / 1000,
    served: during.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    servedByKind: Object.fromEntries(
      kinds.map((kind) => [kind, during.flatMap((tick) => tick.kinds).filter((one) => one === kind).length]),
    ),
    silent: silent / 1000,
    staysReady: ticks.every(({ isReady }) => isReady),
  };
}

/**
 * @param {Service} service @param {readonly Session[]} sessions
 * @returns {Promise<string[]>} a line for each session that lost a write
 */
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

/** Returns the part of a state that the API serves. @param {import('../load/operations.mjs').State} state */
function visible({ session, events }) {
  if (!session) return { session, events };
  const { event, ...fields } = session;
  return { session: fields, events };
}

/** Reads a session, its raw object and its events. @param {import('./client.mjs').Client} client @param {string} id */
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

/** Repeats a read until the answer is no 5xx. @param {() => Promise<import('./client.mjs').Answer>} ask */
async function answered(ask) {
  const end = Date.now() + readLimit;
  for (;;) {
    const answer = await ask();
    if (answer.status < 500 || Date.now() > end) return answer;
    await setTimeout(interval);
  }
}
