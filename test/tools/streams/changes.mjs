/** Writes at a steady rate. Each write is a change of its own. */
import { Agent } from 'node:http';
import { send } from '../lib/request.mjs';
import { emptyState, nextOperation } from '../load/operations.mjs';
import { startAtRate } from '../load/rate.mjs';

/** Number of sessions, written in turn so that no session has two writes in flight. */
const population = 500;
/** Limit of writes in flight. */
const maxInFlight = 64;

/** @param {import('../lib/service.mjs').Service} service @param {number} rate writes per second */
export function startChanges(service, rate) {
  const agent = new Agent({ keepAlive: true, maxSockets: maxInFlight });
  const states = Array(population).fill(emptyState);
  /** @type {string[]} */
  const failures = [];
  let next = 0;

  async function write() {
    const number = next % population;
    next += 1;
    const operation = nextOperation(`cs_test_feed_${number}`, states[number]);
    const answer = await send(agent, service, operation).catch((error) => ({ status: 0, text: String(error) }));
    if (answer.status === operation.status) states[number] = operation.after;
    else failures.push(`${operation.method} ${operation.path}: ${answer.status} ${answer.text}`);
  }

  const finish = startAtRate(rate, maxInFlight, write);
  return {
    failures,
    async stop() {
      await finish();
      agent.destroy();
    },
  };
}
