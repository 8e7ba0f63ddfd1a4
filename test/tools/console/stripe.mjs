/** Stripe's API, as far as a refresh asks it: the sessions that it is given. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** @returns {Promise<{ environment: Record<string, string>, sessions: Map<string, object>, stop: () => void }>} */
export async function startStripe() {
  /** @type {Map<string, object>} */
  const sessions = new Map();
  const server = createServer(({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://stripe');
    const session = sessions.get(decodeURIComponent(pathname.split('/')[4] ?? ''));
    const isOfLineItems = pathname.endsWith('/line_items');
    const lineItems = { object: 'list', data: [], has_more: false, url: pathname };
    response.writeHead(session ? 200 : 404, { 'content-type': 'application/json' });
    const missing = { error: { type: 'invalid_request_error', code: 'resource_missing', message: 'No such session' } };
    response.end(JSON.stringify(session ? (isOfLineItems ? lineItems : session) : missing));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    environment: {
      STRIPE_API_BASE: `http://127.0.0.1:${port}`,
      STRIPE_API_KEYS: 'sk_test_of_the_console,sk_live_of_the_console',
    },
    sessions,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
