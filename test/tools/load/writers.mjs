/** The write load: writers that go on whatever happens, and remember what was acknowledged. */
import { Agent, request } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { nextOperation, nothing } from './operations.mjs';

/**
 * @typedef {import('./operations.mjs').State} State
 * @typedef {import('./operations.mjs').Operation} Operation
 *
 * @typedef {object} Session
 * @property {string} id
 * @property {State[]} possible what the database may hold of it: more than one after a write that was not acknowledged
 * @property {string | undefined} etag of the last answer, where there was one
 *
 * @typedef {{ status: number, text: string, etag: string | undefined }} Answer
 */

const writes = 10;
/** Milliseconds that an answer may take at all; and between a writer's failures. */
const patience = 20_000;
const pause = 25;

/**
 * Starts writers, each with one write at a time: first on a new session, then ten times more on the same, then on
 * the next. A session whose write was not acknowledged is left as it is, so that two states of it are possible.
 *
 * @param {{ port: number, key: string, writers: number, prefix: string }} options
 */
export function startWriters({ port, key, writers, prefix }) {
  const agent = new Agent({ keepAlive: true });
  /** @type {Session[]} */
  const sessions = [];
  const counts = { acknowledged: 0, refused: 0, unanswered: 0 };
  /** Answers that no operation may have. @type {string[]} */
  const wrong = [];
  /** Milliseconds. */
  let slowest = 0;
  let isStopped = false;
  /** When each writer sent what was acknowledged last. @type {number[]} */
  const newest = Array(writers).fill(0);

  /** @param {Session} session @param {Operation} operation @param {number} writer @returns {Promise<boolean>} acknowledged */
  async function write(session, operation, writer) {
    const sent = performance.now();
    // Before it is sent: from then on it may be in the database.
    session.possible.push(operation.after);
    const answer = await ask(agent, port, key, operation).catch((error) => /** @type {Error} */ (error));
    const took = performance.now() - sent;
    if (answer instanceof Error) {
      if (took >= patience) wrong.push(`${nameOf(operation)}: no answer in ${patience} ms`);
      counts.unanswered += 1;
      return false;
    }
    slowest = Math.max(slowest, took);
    if (isAcknowledged(operation, answer)) {
      session.possible = [operation.after];
      session.etag = answer.etag;
      counts.acknowledged += 1;
      newest[writer] = sent;
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
      const session = { id: `cs_test_${prefix}_${writer}_${number}`, possible: [nothing], etag: undefined };
      sessions.push(session);
      for (let turn = 0; turn <= writes && !isStopped; turn += 1) {
        const [state = nothing] = session.possible;
        if (await write(session, nextOperation(session.id, state), writer)) continue;
        await setTimeout(pause);
        break;
      }
    }
  }

  const running = Promise.all(newest.map((_, writer) => run(writer)));
  return {
    sessions,
    counts,
    wrong,
    slowest: () => slowest,
    /** Whether every writer was acknowledged something that it sent after a moment. @param {number} moment */
    isFlowingSince: (moment) => newest.every((sent) => sent >= moment),
    async stop() {
      isStopped = true;
      await running;
      agent.destroy();
    },
  };
}

/** @param {Operation} operation */
const nameOf = ({ method, path }) => `${method} ${path}`;

/** @param {Operation} operation @param {Answer} answer */
function isAcknowledged({ status, outcome }, answer) {
  return answer.status === status && (outcome === undefined || JSON.parse(answer.text).outcome === outcome);
}

const refusals = ['database-unavailable', 'query-timeout', 'overloaded'].map((code) => `urn:problem:${code}`);

/** Whether it is a problem document that says: later. @param {Answer} answer */
function isRefusal({ status, text }) {
  return status === 503 && refusals.includes(JSON.parse(text).type);
}

/**
 * One request, never repeated.
 *
 * @param {Agent} agent @param {number} port @param {string} key
 * @param {Pick<Operation, 'method' | 'path' | 'headers' | 'payload'>} operation
 * @returns {Promise<Answer>}
 */
export function ask(agent, port, key, { method, path, headers, payload }) {
  return new Promise((resolve, reject) => {
    const asked = request({
      ...{ agent, host: '127.0.0.1', port, method, path },
      headers: {
        authorization: `Bearer ${key}`,
        ...headers,
        ...(payload && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
      signal: AbortSignal.timeout(patience),
    });
    asked.on('error', reject);
    asked.on('response', async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode ?? 0, text, etag: response.headers.etag });
      } catch (error) {
        reject(error);
      }
    });
    asked.end(payload);
  });
}
