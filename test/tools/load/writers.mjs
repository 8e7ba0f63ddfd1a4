/** The write load: writers that continue through every fault and record the acknowledged writes. */
import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { requestTimeout, send } from '../lib/request.mjs';
import { emptyState, nextOperation } from './operations.mjs';

/**
 * @typedef {import('./operations.mjs').State} State
 * @typedef {import('./operations.mjs').Operation} Operation
 * @typedef {import('../lib/request.mjs').Answer} Answer
 *
 * @typedef {object} Session
 * @property {string} id
 * @property {State[]} possible states that the database may hold: two after a write that was not acknowledged
 * @property {string | undefined} etag of the last acknowledged write
 */

/** Writes of one session, after the first. */
const writesPerSession = 10;
/** Milliseconds that a writer waits after a failure. */
const pause = 25;

/**
 * Starts writers, each with one write in flight. A writer makes eleven writes of a session and goes on to the next. It
 * leaves a session alone after a write that was not acknowledged: two states of that session are possible from then on.
 *
 * @param {{ port: number, key: string }} service
 * @param {{ writers: number, prefix: string, onAcknowledged?: (operation: Operation) => void }} options `prefix`: of the ids
 */
export function startWriters(service, { writers, prefix, onAcknowledged }) {
  const agent = new Agent({ keepAlive: true });
  /** @type {Session[]} */
  const sessions = [];
  const counts = { acknowledged: 0, refused: 0, unanswered: 0 };
  /** Answers that are neither an acknowledgement nor a refusal. @type {string[]} */
  const wrong = [];
  /** Milliseconds of the slowest answer. */
  let slowest = 0;
  let isStopped = false;
  /** The time at which each writer sent its last acknowledged write. @type {number[]} */
  const lastAcknowledged = Array(writers).fill(0);

  /**
   * @param {Session} session @param {Operation} operation @param {number} writer
   * @returns {Promise<boolean>} whether it was acknowledged
   */
  async function write(session, operation, writer) {
    const sent = performance.now();
    // The state is possible from the moment of sending.
    session.possible.push(operation.after);
    const answer = await send(agent, service, operation).catch((error) => /** @type {Error} */ (error));
    const took = performance.now() - sent;
    if (answer instanceof Error) {
      if (took >= requestTimeout) wrong.push(`${nameOf(operation)}: no answer in ${requestTimeout} ms`);
      counts.unanswered += 1;
      return false;
    }
    slowest = Math.max(slowest, took);
    if (isAcknowledged(operation, answer)) {
      session.possible = [operation.after];
      session.etag = answer.etag;
      counts.acknowledged += 1;
      onAcknowledged?.(operation);
      lastAcknowledged[writer] = sent;
      return true;
    }
    counts.refused += 1;
    if (!isRefusal(answer)) wrong.push(`${nameOf(operation)} on ${session.id}: ${answer.status} ${answer.text}`);
    return false;
  }

  /** @param {number} writer */
  async function run(writer) {
    for (let number = 0; !isStopped; number += 1) {
      /** @type {Session} */
      const session = { id: `cs_test_${prefix}_${writer}_${number}`, possible: [emptyState], etag: undefined };
      sessions.push(session);
      for (let turn = 0; turn <= writesPerSession && !isStopped; turn += 1) {
        const [state = emptyState] = session.possible;
        if (await write(session, nextOperation(session.id, state), writer)) continue;
        await setTimeout(pause);
        break;
      }
    }
  }

  /** Whether the service has acknowledged a later write of every writer. @param {number} moment */
  const isFlowingSince = (moment) => lastAcknowledged.every((sent) => sent >= moment);

  const running = Promise.all(lastAcknowledged.map((_, writer) => run(writer)));
  return {
    sessions,
    counts,
    wrong,
    slowest: () => slowest,
    /**
     * Waits until the service has acknowledged a write that each writer sends from now on.
     *
     * @param {number} limit milliseconds @returns {Promise<number>} the milliseconds that it took; NaN when it exceeds the limit
     */
    async flowing(limit) {
      const moment = performance.now();
      while (!isFlowingSince(moment)) {
        if (performance.now() - moment > limit) return Number.NaN;
        await setTimeout(5);
      }
      return performance.now() - moment;
    },
    async stop() {
      isStopped = true;
      await running;
      agent.destroy();
    },
  };
}

/** @typedef {ReturnType<typeof startWriters>} Load */

/** @param {Operation} operation */
const nameOf = ({ method, path }) => `${method} ${path}`;

/** @param {Operation} operation @param {Answer} answer */
function isAcknowledged({ status, outcome }, answer) {
  return answer.status === status && (outcome === undefined || JSON.parse(answer.text).outcome === outcome);
}

const refusals = ['database-unavailable', 'query-timeout', 'overloaded'].map((code) => `urn:problem:${code}`);

/** Whether an answer is a problem document that asks the client to try later. @param {Answer} answer */
function isRefusal({ status, text }) {
  return status === 503 && refusals.includes(JSON.parse(text).type);
}
