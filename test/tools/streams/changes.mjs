/** Writes at a steady rate, each of which is a change of its own. */
import { Agent } from 'node:http';
import { nextOperation, nothing } from '../load/operations.mjs';
import { ask } from '../load/writers.mjs';

/** Sessions that are written in turn, so that no two writes of one are under way at once. */
const population = 500;
/** Writes at once, after which the load waits. */
const most = 64;
/** Milliseconds. */
const tick = 10;

/** @param {import('../lib/service.mjs').Service} service @param {number} rate writes per second */
export function startChanges({ port, key }, rate) {
  const agent = new Agent({ keepAlive: true, maxSockets: most });
  const states = Array(population).fill(nothing);
  /** @type {string[]} */
  const failures = [];
  const underWay = new Set();
  let next = 0;

  async function write() {
    const number = next % population;
    next += 1;
    const operation = nextOperation(`cs_test_feed_${number}`, states[number]);
    const answer = await ask(agent, port, key, operation).catch((error) => ({ status: 0, text: String(error) }));
    if (answer.status === operation.status) states[number] = operation.after;
    else failures.push(`${operation.method} ${operation.path}: ${answer.status} ${answer.text}`);
  }

  let due = 0;
  const timer = setInterval(() => {
    due += (rate * tick) / 1000;
    for (; due >= 1 && underWay.size < most; due -= 1) {
      const one = write().finally(() => underWay.delete(one));
      underWay.add(one);
    }
    due = Math.min(due, most);
  }, tick);

  return {
    failures,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      agent.destroy();
    },
  };
}
