/** A little load with something of everything: every operation of the contract, every outcome of a delivery, errors. */
import { once } from 'node:events';
import { connect } from 'node:net';
import Stripe from 'stripe';
import { brokenId, paidSession } from './stripe.mjs';

/** @typedef {import('../clients/service.mjs').Service} Service */

const { webhooks } = new Stripe('sk_test_unused');
const sessions = '/api/checkout-sessions';
const enums = { billing_address_collection: 'auto', mode: 'payment', submit_type: 'pay' };
const body = { ...enums, payment_method_types: ['card'] };
const type = 'checkout.session.completed';

/** Values of the parameters of paths. @type {Record<string, string>} */
const parameters = { id: 'cs_test_read', name: 'StripeSessionMode' };

/** The path of an operation with values for its parameters. @param {string} template */
const pathOf = (template) => template.replaceAll(/\{(\w+)\}/g, (_, name) => parameters[name] ?? name);

/** Returns every operation of a service; `route` is the label that its metrics have. @param {string} url */
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
 * @returns what sends each request once, and resolves when all are answered
 */
export async function prepareLoad({ url, environment }) {
  const { STRIPE_KEY, READ_KEY, WEBHOOK_SECRET } = environment;
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

  /** @param {unknown} event @param {string} [secret] */
  function deliver(event, secret = WEBHOOK_SECRET) {
    const payload = JSON.stringify(event);
    const signature = webhooks.generateTestHeaderString({ payload, secret });
    return send('POST', '/webhooks/stripe', { key: '', json: payload, headers: { 'stripe-signature': signature } });
  }

  /** @param {string} id of the event @param {object} object @param {object} [fields] */
  const event = (id, object, fields = {}) => ({
    ...{ id, object: 'event', type, created: Math.floor(Date.now() / 1000), livemode: false, data: { object } },
    ...fields,
  });

  /** Each outcome of a delivery, for the sessions of a round. @param {number} round */
  async function deliveries(round) {
    const session = paidSession(`cs_test_paid_${round}`);
    const first = event(`evt_${round}_a`, session);
    await deliver(first);
    const deleted = `cs_test_deleted_${round}`;
    await send('PUT', `${sessions}/${deleted}`, { json: body });
    await send('DELETE', `${sessions}/${deleted}`);
    const thin = { type: `v1.${type}`, related_object: { id: brokenId, type: 'checkout.session', url: '/' } };
    await Promise.all([
      deliver(first),
      deliver(event(`evt_${round}_0`, session, { created: 1_769_860_800 })),
      deliver(event(`evt_${round}_b`, paidSession(deleted))),
      deliver(event(`evt_${round}_c`, { object: 'customer', id: 'cus_1' }, { type: 'customer.created' })),
      deliver(event(`evt_${round}_d`, paidSession(`cs_test_new_${round}`, { submit_type: 'subscribe' }))),
      deliver({ ...thin, id: `evt_${round}_e`, object: 'v2.core.event', created: new Date(), livemode: false }),
      deliver(first, 'whsec_of_another'),
    ]);
  }

  /** @param {number} round */
  async function writes(round) {
    const path = `${sessions}/cs_test_written_${round}`;
    await send('POST', sessions, { json: { ...body, id: `cs_test_written_${round}` } });
    await send('PUT', path, { json: body });
    await send('PATCH', path, { json: { metadata: { round: String(round) } } });
    await send('POST', `${path}/refresh`);
    await send('DELETE', path);
  }

  /** Requests that are refused. */
  const errors = () => [
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
    await Promise.all([...gets, ...errors(), deliveries(round), writes(round)]);
  };
}

/** Opens more connections than a service takes, and closes them. @param {string} url @param {number} limit */
export async function crowd(url, limit) {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: limit + 10 }, () => connect(Number(port), hostname).on('error', () => {}));
  await Promise.race(sockets.map((socket) => once(socket, 'close')));
  for (const socket of sockets) socket.destroy();
}
