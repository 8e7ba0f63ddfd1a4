/** A Stripe API of the run's own, as far as the service reads it: sessions and events, all on one page. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** @typedef {Awaited<ReturnType<typeof startStripe>>} StripeApi */

const missing = { error: { code: 'resource_missing', message: 'No such object', type: 'invalid_request_error' } };

/** @param {string} url @param {readonly object[]} data */
const listOf = (url, data) => ({ object: 'list', url, has_more: false, data });

export async function startStripe() {
  /** @type {Map<string, Record<string, any> & { id: string }>} */
  const sessions = new Map();
  /** @type {object[]} */
  const events = [];

  /** @param {string} path */
  function answer(path) {
    const [, name, id] = /^\/v1\/(events|checkout\/sessions)(?:\/([^/]+))?/.exec(path) ?? [];
    if (name === 'events') return listOf(path, events);
    if (id === undefined) return listOf(path, [...sessions.values()]);
    return sessions.get(decodeURIComponent(id));
  }

  const server = createServer((request, response) => {
    const found = answer(new URL(request.url ?? '', 'http://127.0.0.1').pathname);
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? missing));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    sessions,
    events,
    environment: { STRIPE_API_BASE: `http://127.0.0.1:${port}`, STRIPE_API_KEYS: 'sk_test_of_the_trial' },
  };
}

/** A session as Stripe has it. @param {string} id @param {Record<string, unknown>} [more] */
export const stripeSession = (id, more = {}) => ({
  ...{ id, object: 'checkout.session', created: 1_767_323_045, livemode: false, mode: 'payment' },
  ...{ status: 'complete', payment_status: 'paid', amount_total: 2198, currency: 'eur' },
  ...{ payment_method_types: ['card'], metadata: { order: '7' } },
  ...more,
});

/** Line items as an expanded session holds them. @param {string} id of the session */
export const lineItems = (id) => ({
  ...{ object: 'list', url: `/v1/checkout/sessions/${id}/line_items`, has_more: false },
  data: [1, 2, 3].map((item) => ({ id: `li_${item}`, object: 'item', quantity: item, description: `Item ${item}` })),
});
