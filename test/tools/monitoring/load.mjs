/** A small load with every operation of the contract, every outcome of a delivery, and errors. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventOf, signed } from '../lib/delivery.mjs';
import { listOf, paidSession } from '../lib/stripe-api.mjs';

/** @typedef {import('../lib/service.mjs').Service} Service */

/** The id of the session that the stub of Stripe fails to return. */
export const brokenId = 'cs_test_broken';

const item = { id: 'li_1', object: 'item', amount_total: 2198, currency: 'usd', quantity: 1 };

/** Returns a session of the stub of Stripe, which has every session. @param {string} id */
export const readSession = (id) => paidSession(id, { line_items: listOf('/v1', [item]) });

const sessions = '/api/checkout-sessions';
const enums = { billing_address_collection: 'auto', mode: 'payment', submit_type: 'pay' };
const body = { ...enums, payment_method_types: ['card'] };

/** Values of the path parameters. @type {Record<string, string>} */
const parameters = { id: 'cs_test_read', name: 'StripeSessionMode' };

/** Fills in the parameters of a path. @param {string} template */
const pathOf = (template) => template.replaceAll(/\{(\w+)\}/g, (_, name) => parameters[name] ?? name);

/** Returns the operations of a service. `route` is their label in the metrics. @param {string} url */
export async function operationsOf(url) {
  const response = await fetch(`${url}/openapi.json`);
  const { paths } = /** @type {{ paths: Record<string, object> }} */ (await response.json());
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => ({
      method: method.toUpperCase(),
      path,
      route: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    })),
  );
}

/**
 * Prepares the load.
 *
 * @param {Service} service
 * @returns a function that sends each request once and waits for all answers
 */
export async function prepareLoad({ url, environment }) {
  const { STRIPE_KEY, READ_KEY } = environment;
  const reads = (await operationsOf(url)).filter(({ method }) => method === 'GET');

  /**
   * @param {string} method @param {string} path
   * @param {{ key?: string, json?: unknown, headers?: Record<string, string> }} [options]
   */
  async function send(method, path, { key = STRIPE_KEY, json, headers } = {}) {
    const response = await fetch(url + path, {
      method,
      headers: { ...(key && { authorization: `Bearer ${key}` }), 'content-type': 'application/json', ...headers },
      ...(json !== undefined && { body: typeof json === 'string' ? json : JSON.stringify(json) }),
    });
    await response.arrayBuffer();
  }

  /** @param {object} event @param {string} [secret] */
  function deliver(event, secret) {
    const { payload, headers } = signed(event, secret);
    return send('POST', '/webhooks/stripe', { key: '', json: payload, headers });
  }

  /** Causes each outcome of a delivery. @param {number} round */
  async function deliverAll(round) {
    const session = paidSession(`cs_test_paid_${round}`);
    const first = eventOf(`evt_${round}_a`, session);
    await deliver(first);
    const deleted = `cs_test_deleted_${round}`;
    await send('PUT', `${sessions}/${deleted}`, { json: body });
    await send('DELETE', `${sessions}/${deleted}`);
    const thin = {
      type: 'v1.checkout.session.completed',
      related_object: { id: brokenId, type: 'checkout.session', url: '/' },
    };
    await Promise.all([
      deliver(first),
      deliver(eventOf(`evt_${round}_0`, session, { created: 1_769_860_800 })),
      deliver(eventOf(`evt_${round}_b`, paidSession(deleted))),
      deliver(eventOf(`evt_${round}_c`, { object: 'customer', id: 'cus_1' }, { type: 'customer.created' })),
      deliver(eventOf(`evt_${round}_d`, paidSession(`cs_test_new_${round}`, { submit_type: 'subscribe' }))),
      deliver({ ...thin, id: `evt_${round}_e`, object: 'v2.core.event', created: new Date(), livemode: false }),
      deliver(first, 'whsec_of_another'),
    ]);
  }

  /** Makes each write of the API. @param {number} round */
  async function writeAll(round) {
    const path = `${sessions}/cs_test_written_${round}`;
    await send('POST', sessions, { json: { ...body, id: `cs_test_written_${round}` } });
    await send('PUT', path, { json: body });
    await send('PATCH', path, { json: { metadata: { round: String(round) } } });
    await send('POST', `${path}/refresh`);
    await send('DELETE', path);
  }

  /** Sends requests that the service refuses. */
  const sendRefused = () => [
    send('GET', sessions, { key: '' }),
    send('GET', `${sessions}?custmer=cus_1`),
    send('GET', `${sessions}/cs_test_of_nobody`),
    send('GET', '/of/no/route'),
    send('DELETE', `${sessions}/cs_test_read`, { key: READ_KEY }),
    send('POST', `${sessions}/${brokenId}/refresh`),
    send('GET', '/v1/checkout/sessions/cs_test_of_nobody', { key: READ_KEY }),
  ];

  await send('PUT', `${sessions}/cs_test_read`, { json: body });
  await send('POST', `${sessions}/cs_test_read/refresh`);
  return async (/** @type {number} */ round) => {
    const gets = reads.map(({ path }) => send('GET', pathOf(path)));
    await Promise.all([...gets, ...sendRefused(), deliverAll(round), writeAll(round)]);
  };
}

/** Opens more connections than a service accepts, and closes them. @param {string} url @param {number} limit */
export async function crowd(url, limit) {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: limit + 10 }, () => connect(Number(port), hostname).on('error', () => {}));
  await Promise.race(sockets.map((socket) => once(socket, 'close')));
  for (const socket of sockets) socket.destroy();
}
