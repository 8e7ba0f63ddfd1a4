/** A stub of Stripe's API: the requests that the service sends, each answered on one page. */
import { createServer } from 'node:http';
import { listen } from './network.mjs';

/**
 * @typedef {Record<string, any> & { id: string }} Session
 * @typedef {Awaited<ReturnType<typeof startStripeApi>>} StripeApi
 */

const missing = { error: { code: 'resource_missing', message: 'No such object', type: 'invalid_request_error' } };
const failure = { error: { type: 'api_error', message: 'An unknown error occurred' } };

/**
 * Returns a paid session, in the shape of Stripe's API.
 *
 * @param {string} id @param {Record<string, unknown>} [fields]
 */
export const paidSession = (id, fields = {}) => ({
  ...{ id, object: 'checkout.session', livemode: false, mode: 'payment', status: 'complete', payment_status: 'paid' },
  ...{ amount_subtotal: 2000, amount_total: 2198, currency: 'usd', payment_method_types: ['card'], metadata: {} },
  ...{ created: 1_769_860_800, expires_at: 1_769_947_200, success_url: 'https://example.com/success' },
  ...fields,
});

/** @param {string} url @param {readonly object[]} data */
export const listOf = (url, data) => ({ object: 'list', url, has_more: false, data });

/**
 * Starts the stub. It runs until `stop` or the end of this process.
 *
 * @param {object} [options]
 * @param {(id: string) => object | undefined} [options.find] returns a session; by default one of `sessions`
 * @param {string} [options.brokenId] the id of a session that is answered with a 500
 * @param {string} [options.keys] with which the service asks
 */
export async function startStripeApi({ find, brokenId, keys = 'sk_test_of_the_tools' } = {}) {
  /** @type {Map<string, Session>} */
  const sessions = new Map();
  /** @type {object[]} */
  const events = [];
  const findSession = find ?? ((/** @type {string} */ id) => sessions.get(id));

  /** @param {URL} url @returns {object | undefined} */
  function answerTo({ pathname: path, search }) {
    const [, name, id, part] = /^\/v1\/(events|checkout\/sessions)(?:\/([^/]+))?(?:\/(\w+))?$/.exec(path) ?? [];
    if (name === 'events') return listOf(path, events);
    if (name === undefined) return undefined;
    if (id === undefined) return listOf(path, [...sessions.values()]);
    const session = /** @type {any} */ (findSession(decodeURIComponent(id)));
    if (!session) return undefined;
    const lineItems = session.line_items ?? listOf(`/v1/checkout/sessions/${id}/line_items`, []);
    if (part === 'line_items') return lineItems;
    return search.includes('line_items') ? { ...session, line_items: lineItems } : session;
  }

  const server = createServer(({ url = '' }, response) => {
    const isBroken = brokenId !== undefined && url.includes(brokenId);
    const found = isBroken ? failure : answerTo(new URL(url, 'http://stripe'));
    response.writeHead(isBroken ? 500 : found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? missing));
  });
  const port = await listen(server);
  server.unref();
  return {
    sessions,
    events,
    /** The variables that point a service at the stub. */
    settings: { STRIPE_API_BASE: `http://127.0.0.1:${port}`, STRIPE_API_KEYS: keys },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
