/** A Stripe API of our own, as far as the load needs it. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** The session that it fails to give. */
export const brokenId = 'cs_test_broken';

/** A paid session, as a current version of Stripe's API has it. @param {string} id @param {object} [fields] */
export function paidSession(id, fields = {}) {
  return {
    ...{ id, object: 'checkout.session', livemode: false, mode: 'payment', status: 'complete', payment_status: 'paid' },
    ...{ amount_subtotal: 2000, amount_total: 2198, currency: 'usd', payment_method_types: ['card'], metadata: {} },
    ...{ created: 1_769_860_800, expires_at: 1_769_947_200, success_url: 'https://example.com/success' },
    ...fields,
  };
}

const emptyList = { object: 'list', data: [], has_more: false, url: '/v1' };
const item = { id: 'li_1', object: 'item', amount_total: 2198, currency: 'usd', quantity: 1 };

/**
 * Starts the API. Every session is there and paid, but the broken one. There are no events.
 *
 * @returns {Promise<{ url: string, stop: () => void }>}
 */
export async function startStripe() {
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const id = /^\/v1\/checkout\/sessions\/(\w+)$/.exec(path)?.[1];
    response.statusCode = id === brokenId ? 500 : 200;
    response.setHeader('content-type', 'application/json');
    if (id === brokenId) response.end('{"error":{"type":"api_error","message":"An unknown error occurred"}}');
    else response.end(JSON.stringify(id ? paidSession(id, { line_items: { ...emptyList, data: [item] } }) : emptyList));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
