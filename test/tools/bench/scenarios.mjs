/** The scenarios: their requests, contenders and expected answers. Every request of a measurement is different. */
import { eventOf, signed } from '../lib/delivery.mjs';
import { account, createdPrefix, rawSession } from './seed.mjs';

/**
 * @typedef {import('./material.mjs').Material} Material
 * @typedef {(position: import('./material.mjs').Position) => string} CursorOf
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {object} [body]
 * @property {string} [payload] the body as text
 * @property {Record<string, string>} [headers]
 *
 * @typedef {object} Scenario
 * @property {string} title
 * @property {readonly string[]} contenders beside our service
 * @property {readonly number[]} statuses
 * @property {boolean} [writes]
 * @property {boolean} [finite] whether the requests are made before the measurement, because they are expensive to make
 * @property {(material: Material, cursorOf: CursorOf) => () => Request} requests
 *   prepares a measurement; the returned function gives one request after the other
 */

const path = '/api/checkout-sessions';

/** Returns a random whole number from 0 to below a count. @param {number} count */
const below = (count) => Math.floor(Math.random() * count);

/** @template Value @param {readonly Value[]} values @returns {Value} */
const anyOf = (values) => /** @type {Value} */ (values[below(values.length)]);

/** Part of new ids, different in every run. */
const run = Date.now().toString(36);
let created = 0;

/** Returns an id that no run has used. All ids have the same length. */
function newId() {
  created += 1;
  return `${createdPrefix}${run}_${String(created).padStart(46, '0')}`;
}

/**
 * Returns every row once before any row a second time, because two writes of one row at once wait for each other.
 *
 * @param {Material} material
 */
function rowsOnce({ documents }) {
  let next = below(documents.length);
  return () => {
    next = (next + 1) % documents.length;
    return /** @type {Record<string, any>} */ (documents[next]);
  };
}

/** Requests pages that follow given rows of the list. @param {(material: Material) => Material['firstRows']} rowsOf */
const pages = (rowsOf) => (/** @type {Material} */ material, /** @type {CursorOf} */ cursorOf) => {
  const cursors = rowsOf(material).map(cursorOf);
  return () => ({ method: 'GET', path: `${path}?limit=10&cursor=${anyOf(cursors)}` });
};

/**
 * Requests pages that start at random times. None starts in the first tenth, so that every page is full.
 *
 * @param {(time: Date) => string} pathOf
 */
const fromRandomTimes =
  (pathOf) =>
  (/** @type {Material} */ { from, to }) => {
    const span = to - from;
    return () => ({ method: 'GET', path: pathOf(new Date(from + span / 10 + below((span * 9) / 10))) });
  };

let events = 0;

/** Returns a signed delivery that completes a session. @param {Record<string, unknown>} session */
function delivery(session) {
  const { id: sessionId, customer, metadata, payment_intent, subscription, mode } = session;
  events += 1;
  const object = {
    ...rawSession,
    ...{
      id: sessionId,
      customer,
      metadata,
      payment_intent,
      subscription,
      mode,
      status: 'complete',
      payment_status: 'paid',
    },
    created: Math.floor(new Date(/** @type {string} */ (session.created)).getTime() / 1000),
  };
  const id = `evt_${run}${String(events).padStart(16, '0')}`;
  const event = eventOf(id, object, {
    ...{ account, pending_webhooks: 1, request: { id: null, idempotency_key: null } },
  });
  const { payload, headers } = signed(event);
  return { method: 'POST', path: '/webhooks/stripe', payload, headers };
}

/** @type {Record<string, Scenario>} */
const scenarios = {
  one: {
    title: 'one by id',
    contenders: ['bare', 'pg', 'prisma'],
    statuses: [200],
    requests:
      ({ ids }) =>
      () => ({ method: 'GET', path: `${path}/${anyOf(ids)}` }),
  },
  list: {
    title: 'list of 50, from a different time each',
    contenders: ['bare', 'pg', 'prisma'],
    statuses: [200],
    requests: fromRandomTimes((time) => `${path}?created__lt=${time.toISOString()}`),
  },
  'stripe-one': {
    title: "one by id in Stripe's shape",
    contenders: [],
    statuses: [200],
    requests:
      ({ ids }) =>
      () => ({ method: 'GET', path: `/v1/checkout/sessions/${anyOf(ids)}` }),
  },
  'list-of-10': {
    title: 'list of 10, from a different time each',
    contenders: [],
    statuses: [200],
    requests: fromRandomTimes((time) => `${path}?limit=10&created__lt=${time.toISOString()}`),
  },
  'stripe-list': {
    title: "list of 10 in Stripe's shape, from a different time each",
    contenders: [],
    statuses: [200],
    requests: fromRandomTimes((time) => `/v1/checkout/sessions?created[lt]=${Math.floor(time.getTime() / 1000)}`),
  },
  customer: {
    title: 'list of a customer',
    contenders: ['pg', 'prisma'],
    statuses: [200],
    requests:
      ({ customers }) =>
      () => ({ method: 'GET', path: `${path}?customer=${anyOf(customers)}` }),
  },
  // Without Prisma: its cursors omit the LIMIT when the ordering column is nullable, so that a page takes seconds.
  page1: {
    title: 'pages of 10 from the first on',
    contenders: ['pg'],
    statuses: [200],
    requests: pages(({ firstRows }) => firstRows),
  },
  deep: {
    title: 'pages of 10 from the 10,000th on',
    contenders: ['pg'],
    statuses: [200],
    requests: pages(({ deepRows }) => deepRows),
  },
  create: {
    title: 'create',
    contenders: ['pg', 'prisma'],
    statuses: [201],
    writes: true,
    requests:
      ({ documents }) =>
      () => ({ method: 'POST', path, body: { ...anyOf(documents), id: newId() } }),
  },
  replace: {
    title: 'replace',
    contenders: ['pg', 'prisma'],
    statuses: [200],
    writes: true,
    requests: (material) => {
      const next = rowsOnce(material);
      return () => {
        const document = next();
        const body = { ...document, metadata: { order: String(below(1e6)), channel: 'web' } };
        return { method: 'PUT', path: `${path}/${document.id}`, body };
      };
    },
  },
  patch: {
    title: 'patch',
    contenders: ['pg', 'prisma'],
    statuses: [200],
    writes: true,
    requests: (material) => {
      const next = rowsOnce(material);
      return () => ({
        method: 'PATCH',
        path: `${path}/${next().id}`,
        body: { metadata: { order: String(below(1e6)) }, client_reference_id: `cart/${below(1e6)}` },
      });
    },
  },
  webhook: {
    title: 'webhook, half of the sessions new',
    contenders: ['pg'],
    statuses: [200],
    writes: true,
    finite: true,
    requests: (material) => {
      const next = rowsOnce(material);
      return () => delivery(below(2) === 0 ? next() : { ...next(), id: newId() });
    },
  },
};

export const scenarioNames = Object.keys(scenarios);

/** @param {string} name */
export function scenarioOf(name) {
  const scenario = scenarios[name];
  if (!scenario) throw new Error(`There is no scenario ${name}. The scenarios are ${scenarioNames.join(', ')}.`);
  return scenario;
}
