/** A mixed load at a steady rate: reads, lists, writes, deliveries, wrong requests, clients that give up or connect once. */
import { Agent, request } from 'node:http';
import { send } from '../lib/request.mjs';
import { emptyState, nextOperation, sessionsPath } from '../load/operations.mjs';
import { startAtRate } from '../load/rate.mjs';

/**
 * @typedef {import('../load/operations.mjs').State} State
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../lib/request.mjs').Request} Request
 * @typedef {{ status: number, text: string }} Answer
 */

/** Number of sessions. */
const population = 2000;
/** Limit of requests in flight. */
const maxInFlight = 100;

/** @template Value @param {readonly Value[]} values @returns {Value} */
const anyOf = (values) => /** @type {Value} */ (values[Math.floor(Math.random() * values.length)]);

const idOf = (/** @type {number} */ number) => `cs_test_soak_${number}`;
const anyPath = () => `${sessionsPath}/${idOf(Math.floor(Math.random() * population))}`;

/** Reads of no session in particular. @type {readonly (() => Request)[]} */
const lists = [
  () => ({ method: 'GET', path: `${sessionsPath}?limit=20` }),
  () => ({ method: 'GET', path: `${sessionsPath}?limit=20&ordering=-djstripe_updated&include=payment` }),
  () => ({ method: 'GET', path: `${sessionsPath}?customer=cus_${Math.floor(Math.random() * 1e6)}&count=exact` }),
  () => ({ method: 'GET', path: '/api/stripe-events?limit=20' }),
  () => ({ method: 'GET', path: '/api/enums' }),
  () => ({ method: 'GET', path: '/openapi.json' }),
  () => ({ method: 'GET', path: '/health/ready' }),
];
/** Requests that the service refuses. @type {readonly (() => Request)[]} */
const wrongRequests = [
  () => ({ method: 'POST', path: sessionsPath, payload: '{"mode":"barter"}' }),
  () => ({ method: 'POST', path: sessionsPath, payload: '{"id":' }),
  () => ({ method: 'GET', path: `${sessionsPath}?custumer=cus_1` }),
  () => ({ method: 'GET', path: `/nothing/${Math.random()}` }),
  () => ({ method: 'GET', path: anyPath(), headers: { authorization: `Bearer ${Math.random()}` } }),
  () => ({ method: 'POST', path: '/webhooks/stripe', headers: { 'stripe-signature': 't=1,v1=0' }, payload: '{}' }),
];

/** @param {Service} service @param {number} rate requests per second */
export function startLoad(service, rate) {
  const agent = new Agent({ keepAlive: true, maxSockets: 24 });
  /** @type {State[]} */
  const states = Array(population).fill(emptyState);
  const busy = new Set();
  const counts = { requests: 0, failed: 0 };
  /** @type {string[]} */
  const failures = [];

  /** Sends a request and records a failure: no answer, or a 5xx. @param {Request} sent @param {Agent} by */
  async function ask(sent, by = agent) {
    counts.requests += 1;
    const answer = await send(by, service, sent).catch((error) => ({ status: 0, text: String(error) }));
    if (answer.status === 0 || answer.status >= 500) fail(sent, answer);
    return answer;
  }

  /** @param {Request} sent @param {Answer} answer */
  function fail({ method, path }, { status, text }) {
    counts.failed += 1;
    if (failures.length < 5) failures.push(`${method} ${path}: ${status} ${text}`);
  }

  /** Makes the next write of a session without a write in flight. */
  async function write() {
    const number = Math.floor(Math.random() * population);
    if (busy.has(number)) return;
    busy.add(number);
    const operation = nextOperation(idOf(number), states[number] ?? emptyState);
    const answer = await ask(operation);
    if (answer.status === operation.status) states[number] = { ...operation.after, events: {} };
    else if (answer.status !== 0 && answer.status < 500) fail(operation, answer);
    busy.delete(number);
  }

  /** Sends a request and disconnects before the answer. @returns {Promise<void>} */
  function giveUp() {
    counts.requests += 1;
    return new Promise((resolve) => {
      const path = `${sessionsPath}?limit=1000`;
      const headers = { authorization: `Bearer ${service.key}` };
      const sent = request({ port: service.port, host: '127.0.0.1', path, headers });
      sent.on('error', () => {});
      sent.on('close', resolve);
      sent.end();
      setTimeout(() => sent.destroy(), 10 * Math.random());
    });
  }

  /** Sends one request on a connection of its own. */
  async function connectOnce() {
    const own = new Agent();
    await ask({ method: 'GET', path: anyPath() }, own);
    own.destroy();
  }

  /** Sends a request of a random kind. */
  function next() {
    const chance = Math.random();
    if (chance < 0.4) return ask({ method: 'GET', path: anyPath() });
    if (chance < 0.75) return write();
    if (chance < 0.9) return ask(anyOf(lists)());
    if (chance < 0.95) return ask(anyOf(wrongRequests)());
    return chance < 0.97 ? giveUp() : connectOnce();
  }

  const finish = startAtRate(rate, maxInFlight, next);
  return {
    counts,
    failures,
    /** Waits for the requests in flight, and closes the connections. */
    async stop() {
      await finish();
      agent.destroy();
    },
  };
}
