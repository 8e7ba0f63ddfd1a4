/** A mixed load at a steady rate: reads, lists, writes, deliveries, mistakes, clients that give up or come once. */
import { Agent, request } from 'node:http';
import { nextOperation, nothing, sessionsPath } from '../load/operations.mjs';
import { ask } from '../load/writers.mjs';

/**
 * @typedef {import('../load/operations.mjs').State} State
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {Parameters<typeof ask>[3]} Asked
 */

/** Sessions that are read and written, created and deleted. */
const population = 2000;
/** Requests at once, after which the load waits: a slow machine does not pile them up. */
const most = 100;
/** Milliseconds. */
const tick = 20;

/** @template Value @param {readonly Value[]} values @returns {Value} */
const any = (values) => /** @type {Value} */ (values[Math.floor(Math.random() * values.length)]);

const idOf = (/** @type {number} */ number) => `cs_test_soak_${number}`;
const anyPath = () => `${sessionsPath}/${idOf(Math.floor(Math.random() * population))}`;

/** What is asked of no session in particular. @type {readonly (() => Asked)[]} */
const lists = [
  () => ({ method: 'GET', path: `${sessionsPath}?limit=20` }),
  () => ({ method: 'GET', path: `${sessionsPath}?limit=20&ordering=-djstripe_updated&include=payment` }),
  () => ({ method: 'GET', path: `${sessionsPath}?customer=cus_${Math.floor(Math.random() * 1e6)}&count=exact` }),
  () => ({ method: 'GET', path: '/api/stripe-events?limit=20' }),
  () => ({ method: 'GET', path: '/api/enums' }),
  () => ({ method: 'GET', path: '/openapi.json' }),
  () => ({ method: 'GET', path: '/health/ready' }),
];
/** What is refused. @type {readonly (() => Asked)[]} */
const mistakes = [
  () => ({ method: 'POST', path: sessionsPath, payload: '{"mode":"barter"}' }),
  () => ({ method: 'POST', path: sessionsPath, payload: '{"id":' }),
  () => ({ method: 'GET', path: `${sessionsPath}?custumer=cus_1` }),
  () => ({ method: 'GET', path: `/nothing/${Math.random()}` }),
  () => ({ method: 'GET', path: anyPath(), headers: { authorization: `Bearer ${Math.random()}` } }),
  () => ({ method: 'POST', path: '/webhooks/stripe', headers: { 'stripe-signature': 't=1,v1=0' }, payload: '{}' }),
];

/** @param {Service} service @param {number} rate requests per second */
export function startLoad({ port, key }, rate) {
  const agent = new Agent({ keepAlive: true, maxSockets: 24 });
  /** @type {State[]} */
  const states = Array(population).fill(nothing);
  const busy = new Set();
  const counts = { requests: 0, failed: 0 };
  /** @type {string[]} */
  const failures = [];
  let inFlight = 0;

  /** Asks, and takes note of what no request may be answered. @param {Asked} asked @param {Agent} by */
  async function demand(asked, by = agent) {
    counts.requests += 1;
    const answer = await ask(by, port, key, asked).catch((error) => ({ status: 0, text: String(error) }));
    if (answer.status === 0 || answer.status >= 500) fail(asked, answer);
    return answer;
  }

  /** @param {Asked} asked @param {{ status: number, text: string }} answer */
  function fail({ method, path }, { status, text }) {
    counts.failed += 1;
    if (failures.length < 5) failures.push(`${method} ${path}: ${status} ${text}`);
  }

  /** The next write of a session that nothing else writes now, by one that knows what is there. */
  async function write() {
    const number = Math.floor(Math.random() * population);
    if (busy.has(number)) return;
    busy.add(number);
    const operation = nextOperation(idOf(number), states[number] ?? nothing);
    const answer = await demand(operation);
    if (answer.status === operation.status) states[number] = { ...operation.after, events: {} };
    else if (answer.status !== 0 && answer.status < 500) fail(operation, answer);
    busy.delete(number);
  }

  /** A client that is gone before its answer. @returns {Promise<void>} */
  function giveUp() {
    counts.requests += 1;
    return new Promise((resolve) => {
      const path = `${sessionsPath}?limit=1000`;
      const asked = request({ port, host: '127.0.0.1', path, headers: { authorization: `Bearer ${key}` } });
      asked.on('error', () => {});
      asked.on('close', resolve);
      asked.end();
      setTimeout(() => asked.destroy(), 10 * Math.random());
    });
  }

  /** A client with a connection of its own. */
  async function comeOnce() {
    const own = new Agent();
    await demand({ method: 'GET', path: anyPath() }, own);
    own.destroy();
  }

  function next() {
    const chance = Math.random();
    if (chance < 0.4) return demand({ method: 'GET', path: anyPath() });
    if (chance < 0.75) return write();
    if (chance < 0.9) return demand(any(lists)());
    if (chance < 0.95) return demand(any(mistakes)());
    return chance < 0.97 ? giveUp() : comeOnce();
  }

  let owed = 0;
  const timer = setInterval(() => {
    owed = Math.min(owed + (rate * tick) / 1000, most);
    for (; owed >= 1 && inFlight < most; owed -= 1) {
      inFlight += 1;
      void next().finally(() => {
        inFlight -= 1;
      });
    }
  }, tick);

  return {
    counts,
    failures,
    /** Ends the load and its connections. */
    async stop() {
      clearInterval(timer);
      while (inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      agent.destroy();
    },
  };
}
