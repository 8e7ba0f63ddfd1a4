/** A consumer of the change feed that continues through every fault. In the end it has seen each acknowledged write. */
import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { send } from '../lib/request.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../load/writers.mjs').Session} Session
 * @typedef {{ type: string, version: number }} Change
 */

/** Seconds of a long poll. */
const pollTime = 1;
/** Milliseconds between a failure and the next request. */
const pause = 50;
/** Milliseconds in which the follower must reach the end of the log once the load has stopped. */
const catchUpLimit = 30_000;

/** Returns the number of a change from its id. @param {string} id */
const numberOf = (id) => Number(Buffer.from(id, 'base64url').toString('latin1').split('.')[0]);

/** Follows the feed from its present end. @param {Pick<Service, 'port' | 'key'>} service */
export function startFollower(service) {
  const agent = new Agent({ keepAlive: true });
  /** The newest change of each session. @type {Map<string, Change>} */
  const newest = new Map();
  /** @type {number[]} */
  const numbers = [];
  /** @type {string[]} */
  const failures = [];
  /** @type {string | undefined} */
  let cursor;
  let start = 0;
  let isStopped = false;

  /** Reads one page. @returns {Promise<boolean>} whether there may be more */
  async function read() {
    const path = `/api/changes?cursor=${cursor ?? 'now'}&limit=500&wait=${cursor && !isStopped ? pollTime : 0}`;
    const answer = await send(agent, service, { method: 'GET', path }).catch(() => undefined);
    if (answer?.status !== 200) {
      if (answer && answer.status < 500) failures.push(`the feed answers ${answer.status} ${answer.text}`);
      await setTimeout(pause);
      return true;
    }
    const page = JSON.parse(answer.text);
    if (cursor === undefined) start = numberOf(page.cursor);
    cursor = page.cursor;
    for (const { id, session_id, type, version } of page.results) {
      numbers.push(numberOf(id));
      newest.set(session_id, { type, version });
    }
    return page.more || page.results.length > 0;
  }

  async function run() {
    while (!isStopped && failures.length === 0) await read();
  }
  const running = run();

  /**
   * Compares the newest change of a session with its state, if that is certain.
   *
   * @param {Session} session
   * @returns {string[]}
   */
  function lossesOf({ id, possible, etag }) {
    const [state] = possible;
    if (possible.length !== 1 || !state || (!state.session && !state.isDeleted)) return [];
    const change = newest.get(id);
    if (!change) return [`the feed has no change of ${id}`];
    if ((change.type === 'deleted') !== state.isDeleted) return [`the last change of ${id} is ${change.type}`];
    const version = /-(\d+)"$/.exec(etag ?? '')?.[1];
    if (state.isDeleted || version === undefined || Number(version) === change.version) return [];
    return [`the last change of ${id} has the version ${change.version}, and its ETag is ${etag}`];
  }

  return {
    /** Waits until the follower has its first cursor. */
    async ready() {
      const end = performance.now() + catchUpLimit;
      while (cursor === undefined && performance.now() < end) await setTimeout(5);
    },

    /**
     * Reads the rest of the log, and stops.
     *
     * @param {import('./verify.mjs').Query} query @param {readonly Session[]} sessions
     * @returns {Promise<string[]>} changes that the feed lacks, repeats or contradicts
     */
    async stop(query, sessions) {
      isStopped = true;
      await running;
      const end = performance.now() + catchUpLimit;
      while (failures.length === 0 && (await read()) && performance.now() < end);
      agent.destroy();
      const { rows } = await query(
        'SELECT seq::float8 AS seq FROM checkout_session_change WHERE seq > $1 AND seq <= $2 ORDER BY seq',
        [start, numbers.at(-1) ?? start],
      );
      const seen = new Set(numbers);
      const missed = rows.map(({ seq }) => seq).filter((seq) => !seen.has(seq));
      const repeated = numbers.filter((seq, index) => index > 0 && seq <= /** @type {number} */ (numbers[index - 1]));
      return [
        ...failures,
        ...(missed.length > 0 ? [`the feed lacks ${missed.length} changes: ${missed.slice(0, 5)}`] : []),
        ...(repeated.length > 0 ? [`the feed goes back to: ${repeated.slice(0, 5)}`] : []),
        ...sessions.flatMap(lossesOf),
      ];
    },
  };
}
