/** A consumer of the change feed, which goes on through every fault: in the end it has seen each acknowledged write. */
import { Agent } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { ask } from '../load/writers.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../load/writers.mjs').Session} Session
 * @typedef {{ type: string, version: number }} Seen
 */

/** Seconds of a long poll; milliseconds after a failure; milliseconds in which it must catch up once the load has ended. */
const wait = 1;
const pause = 50;
const patience = 30_000;

const numberOf = (/** @type {string} */ id) => Number(Buffer.from(id, 'base64url').toString('latin1').split('.')[0]);

/** Follows the feed from its end on. @param {Pick<Service, 'port' | 'key'>} service */
export function startFollower({ port, key }) {
  const agent = new Agent({ keepAlive: true });
  /** The newest change of each session. @type {Map<string, Seen>} */
  const newest = new Map();
  /** @type {number[]} */
  const numbers = [];
  /** @type {string[]} */
  const failures = [];
  /** @type {string | undefined} */
  let cursor;
  let start = 0;
  let isLast = false;

  async function read() {
    const path = `/api/changes?cursor=${cursor ?? 'now'}&limit=500&wait=${cursor && !isLast ? wait : 0}`;
    const answer = await ask(agent, port, key, { method: 'GET', path }).catch(() => undefined);
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
    while (!isLast && failures.length === 0) await read();
  }
  const running = run();

  /** @param {Session} session @returns {string[]} what the feed lacks of it, where its state is certain */
  function lacking({ id, possible, etag }) {
    const [state] = possible;
    if (possible.length !== 1 || !state || (!state.session && !state.isDeleted)) return [];
    const seen = newest.get(id);
    if (!seen) return [`the feed has nothing of ${id}`];
    if ((seen.type === 'deleted') !== state.isDeleted) return [`the feed ends ${id} with ${seen.type}`];
    const version = /-(\d+)"$/.exec(etag ?? '')?.[1];
    if (state.isDeleted || version === undefined || Number(version) === seen.version) return [];
    return [`the feed ends ${id} with the version ${seen.version}, and the tag is ${etag}`];
  }

  return {
    /** Resolves once it has its first place. */
    async ready() {
      const end = performance.now() + patience;
      while (cursor === undefined && performance.now() < end) await setTimeout(5);
    },

    /**
     * Ends it at the end of the log.
     *
     * @param {import('./verify.mjs').Query} query @param {readonly Session[]} sessions @returns {Promise<string[]>} what it lacks
     */
    async stop(query, sessions) {
      isLast = true;
      await running;
      const end = performance.now() + patience;
      while (failures.length === 0 && (await read()) && performance.now() < end);
      agent.destroy();
      const { rows } = await query(
        'SELECT seq::float8 AS seq FROM checkout_session_change WHERE seq > $1 AND seq <= $2 ORDER BY seq',
        [start, numbers.at(-1) ?? start],
      );
      const expected = rows.map(({ seq }) => seq);
      const seen = new Set(numbers);
      const missed = expected.filter((seq) => !seen.has(seq));
      const extra = numbers.filter((seq, index) => index > 0 && seq <= /** @type {number} */ (numbers[index - 1]));
      return [
        ...failures,
        ...(missed.length > 0 ? [`the feed has missed ${missed.length} changes: ${missed.slice(0, 5)}`] : []),
        ...(extra.length > 0 ? [`the feed goes back: ${extra.slice(0, 5)}`] : []),
        ...sessions.flatMap(lacking),
      ];
    },
  };
}
