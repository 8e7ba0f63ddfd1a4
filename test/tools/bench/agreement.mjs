/** The contenders are only worth comparing with when they answer the same: asked before anything is measured. */
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

/** A session without what each database sets by itself, and with moments in one notation. @param {Record<string, any>} session */
function comparable({ djstripe_id, djstripe_updated, djstripe_created, created, ...session }) {
  const keys = ['djstripe_id', 'djstripe_updated', 'djstripe_created'];
  if ([djstripe_id, djstripe_updated, djstripe_created].includes(undefined)) throw new Error(`without ${keys}`);
  return { ...session, created: created && new Date(created).getTime() };
}

/** @param {Record<string, any>} answer */
const comparableAnswer = (answer) =>
  answer.results
    ? { sessions: answer.results.map(comparable), isLast: answer.next === null }
    : { sessions: [comparable(answer)] };

/** @param {unknown} actual @param {unknown} expected @param {string} otherwise */
function mustEqual(actual, expected, otherwise) {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    throw new Error(`${otherwise}: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/**
 * @param {string} databaseUrl @param {readonly Service[]} services
 * @returns {Promise<void>} rejected where an answer differs from ours
 */
export async function agree(databaseUrl, services) {
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

/** @param {string} name @param {Service} ours @param {Service} other @param {import('./material.mjs').Material} material */
async function compare(name, ours, other, material) {
  /** @type {import('./material.mjs').Position | undefined} */
  let position;
  const request = scenarioOf(name).requests(material, (row) => row.id)();
  // A cursor is each one's own: the request names the row after which the page begins.
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
  mustEqual(actual, expected, `${other.name} does not answer ${request.method} ${request.path} as ours does`);
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
    mustEqual(actual, expected, 'pg does not take in an event as ours does');
    if (expected?.outcome !== 'applied') throw new Error(`an event was ${expected?.outcome}`);
  }
}
