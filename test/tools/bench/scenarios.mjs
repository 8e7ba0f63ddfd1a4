/** What is asked, of whom, and what counts as an answer. Every request of a measurement is another one. */
import Stripe from 'stripe';
import { account, createdPrefix, rawSession } from './seed.mjs';

/**
 * @typedef {import('./material.mjs').Material} Material
 * @typedef {(position: import('./material.mjs').Position) => string} CursorOf
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {object} [body]
 * @property {string} [payload] a body that is text already
 * @property {Record<string, string>} [headers]
 *
 * @typedef {object} Scenario
 * @property {string} title
 * @property {readonly string[]} contenders beside ours
 * @property {readonly number[]} statuses
 * @property {boolean} [writes]
 * @property {boolean} [finite] the requests are made before the measurement, which ends when they are used up
 * @property {(material: Material, cursorOf: CursorOf) => () => Request} requests
 *   prepares a measurement; the function it returns gives one request after the other
 */

const path = '/api/checkout-sessions';
export const webhookSecret = 'whsec_benchmark';
const { webhooks } = new Stripe('sk_test_unused');

/** @param {number} count */
const below = (count) => Math.floor(Math.random() * count);

/** @template Value @param {readonly Value[]} values @returns {Value} */
const any = (values) => /** @type {Value} */ (values[below(values.length)]);

/** Ids that no run has had, all of one length. */
const run = Date.now().toString(36);
let created = 0;

function newId() {
  created += 1;
  return `${createdPrefix}${run}_${String(created).padStart(46, '0')}`;
}

/** Every row once before any comes again, as two writes of one row at once would wait for each other. @param {Material} material */
function rowsOnce({ documents }) {
  let next = below(documents.length);
  return () => {
    next = (next + 1) % documents.length;
    return /** @type {Record<string, any>} */ (documents[next]);
  };
}

/** Pages from a place of the list on. @param {(material: Material) => Material['firstRows']} rowsOf */
const pages = (rowsOf) => (/** @type {Material} */ material, /** @type {CursorOf} */ cursorOf) => {
  const cursors = rowsOf(material).map(cursorOf);
  return () => ({ method: 'GET', path: `${path}?limit=10&cursor=${any(cursors)}` });
};

/**
 * Pages of one order, each from another moment. Not from the first tenth, so that every page is full.
 *
 * @param {(moment: Date) => string} pathOf
 */
const fromMoments =
  (pathOf) =>
  (/** @type {Material} */ { from, to }) => {
    const span = to - from;
    return () => ({ method: 'GET', path: pathOf(new Date(from + span / 10 + below((span * 9) / 10))) });
  };

let events = 0;

/** A signed delivery for a session, which completes it. @param {Record<string, unknown>} session */
function delivery(session) {
  const { id, customer, metadata, payment_intent, subscription, mode } = session;
  const now = Math.floor(Date.now() / 1000);
  events += 1;
  const object = {
    ...rawSession,
    ...{ id, customer, metadata, payment_intent, subscription, mode, status: 'complete', payment_status: 'paid' },
    created: Math.floor(new Date(/** @type {string} */ (session.created)).getTime() / 1000),
  };
  const payload = JSON.stringify({
    ...{ id: `evt_${run}${String(events).padStart(16, '0')}`, object: 'event', api_version: '2026-07-29' },
    ...{ account, created: now, type: 'checkout.session.completed', livemode: false, pending_webhooks: 1 },
    ...{ request: { id: null, idempotency_key: null }, data: { object } },
  });
  const signature = webhooks.generateTestHeaderString({ payload, secret: webhookSecret });
  const headers = { 'stripe-signature': signature };
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
      () => ({ method: 'GET', path: `${path}/${any(ids)}` }),
  },
  list: {
    title: 'list of 50, from a different moment each',
    contenders: ['bare', 'pg', 'prisma'],
    statuses: [200],
    requests: fromMoments((moment) => `${path}?created__lt=${moment.toISOString()}`),
  },
  'stripe-one': {
    title: "one by id in Stripe's shape",
    contenders: [],
    statuses: [200],
    requests:
      ({ ids }) =>
      () => ({ method: 'GET', path: `/v1/checkout/sessions/${any(ids)}` }),
  },
  'list-of-10': {
    title: 'list of 10, from a different moment each',
    contenders: [],
    statuses: [200],
    requests: fromMoments((moment) => `${path}?limit=10&created__lt=${moment.toISOString()}`),
  },
  'stripe-list': {
    title: "list of 10 in Stripe's shape, from a different moment each",
    contenders: [],
    statuses: [200],
    requests: fromMoments((moment) => `/v1/checkout/sessions?created[lt]=${Math.floor(moment.getTime() / 1000)}`),
  },
  customer: {
    title: 'list of a customer',
    contenders: ['pg', 'prisma'],
    statuses: [200],
    requests:
      ({ customers }) =>
      () => ({ method: 'GET', path: `${path}?customer=${any(customers)}` }),
  },
  // Without Prisma, whose cursors leave out the LIMIT when the ordering column can be null: seconds a page.
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
      () => ({ method: 'POST', path, body: { ...any(documents), id: newId() } }),
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
  if (!scenario) throw new Error(`there is no scenario ${name}, only ${scenarioNames.join(', ')}`);
  return scenario;
}
