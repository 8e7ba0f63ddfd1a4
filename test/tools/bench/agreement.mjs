/** A comparison is fair only if all contenders give the same answers. This is checked before the first measurement. */
import { deepStrictEqual } from 'node:assert/strict';
import { loadMaterial } from './material.mjs';
import { scenarioOf } from './scenarios.mjs';

/**
 * @typedef {import('./services.mjs').Service} Service
 * @typedef {import('./scenarios.mjs').Request} Request
 */

const compared = ['one', 'list', 'customer', 'page1', 'deep', 'replace', 'patch'];

/** @param {Service} service @param {Request} request */
async function answerOf({ name, port, headers }, { method, path, body, payload, headers: own }) {
  const content = payload ?? (body && JSON.stringify(body));
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...headers, ...own, ...(content && { 'content-type': 'application/json' }) },
    ...(content && { body: content }),
  });
  if (!response.ok) throw new Error(`${method} ${path} of ${name}: ${response.status} ${await response.text()}`);
  return /** @type {Promise<Record<string, any>>} */ (response.json());
}

/**
 * Returns a session without the properties that each database sets by itself, and with times in one notation.
 *
 * @param {Record<string, any>} session
 */
function comparable({ djstripe_id, djstripe_updated, djstripe_created, created, ...session }) {
  const keys = ['djstripe_id', 'djstripe_updated', 'djstripe_created'];
  if ([djstripe_id, djstripe_updated, djstripe_created].includes(undefined))
    throw new Error(`a session lacks one of ${keys}`);
  return { ...session, created: created && new Date(created).getTime() };
}

/** @param {Record<string, any>} answer */
const comparableAnswer = (answer) =>
  answer.results
    ? { sessions: answer.results.map(comparable), isLast: answer.next === null }
    : { sessions: [comparable(answer)] };

/** @param {unknown} actual @param {unknown} expected @param {string} message */
function mustEqual(actual, expected, message) {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    throw new Error(`${message}: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/**
 * Compares the answers of the contenders with ours.
 *
 * @param {string} databaseUrl @param {readonly Service[]} services
 * @throws when an answer differs
 */
export async function expectSameAnswers(databaseUrl, services) {
  const [ours, ...others] = services;
  if (!ours) return;
  const material = await loadMaterial(databaseUrl);
  for (const name of compared) {
    for (const other of others.filter((service) => scenarioOf(name).contenders.includes(service.name))) {
      if (other.name === 'bare') continue;
      for (let turn = 0; turn < 5; turn += 1) await compare(name, ours, other, material);
    }
  }
  const pg = others.find((service) => service.name === 'pg');
  if (pg) await compareWebhook(ours, pg, material);
}

/**
 * @param {string} name @param {Service} ours @param {Service} other
 * @param {import('./material.mjs').Material} material
 */
async function compare(name, ours, other, material) {
  /** @type {import('./material.mjs').Position | undefined} */
  let position;
  const request = scenarioOf(name).requests(material, (row) => row.id)();
  // Each contender has cursors of its own. The scenario puts the id of a row in their place.
  const [, id] = /cursor=(.+)$/.exec(request.path) ?? [];
  if (id) position = [...material.firstRows, ...material.deepRows].find((row) => row.id === id);
  const [expected, actual] = await Promise.all(
    [ours, other].map(async (service) => {
      const path = position
        ? request.path.replace(/cursor=.+$/, `cursor=${material.cursorOf(service.name, position)}`)
        : request.path;
      return comparableAnswer(await answerOf(service, { ...request, path }));
    }),
  );
  mustEqual(actual, expected, `${other.name} and ours answer ${request.method} ${request.path} differently`);
}

/** @param {Service} ours @param {Service} pg @param {import('./material.mjs').Material} material */
async function compareWebhook(ours, pg, material) {
  const next = scenarioOf('webhook').requests(material, () => '');
  for (let turn = 0; turn < 6; turn += 1) {
    const request = next();
    const { id } = JSON.parse(/** @type {string} */ (request.payload)).data.object;
    const [expected, actual] = await Promise.all(
      [ours, pg].map(async (service) => {
        const { outcome } = await answerOf(service, request);
        const session = await answerOf(service, { method: 'GET', path: `/api/checkout-sessions/${id}` });
        return { outcome, ...comparable(session) };
      }),
    );
    mustEqual(actual, expected, 'pg and ours process an event differently');
    if (expected?.outcome !== 'applied')
      throw new Error(`the outcome of an event is ${expected?.outcome}, not applied`);
  }
}
