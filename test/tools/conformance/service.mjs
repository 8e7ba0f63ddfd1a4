/** The service as Schemathesis meets it: the very process, a database of its own, a Stripe that it can ask. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const server = fileURLToPath(new URL('../../../../dist/server.js', import.meta.url));

/** @typedef {{ url: string, errors: () => string[], stop: () => Promise<void> }} Service */

/** @param {string} url @param {string} statement */
async function administrate(url, statement) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

/**
 * An empty database: on the server of TEST_DATABASE_URL, else the embedded one.
 *
 * @returns {Promise<{ environment: Record<string, string>, remove: () => Promise<void> }>}
 */
async function emptyDatabase() {
  const { TEST_DATABASE_URL } = process.env;
  if (!TEST_DATABASE_URL) {
    const directory = await mkdtemp(join(tmpdir(), 'checkout-session-conformance-'));
    return { environment: { DATA_DIR: directory }, remove: () => rm(directory, { recursive: true, force: true }) };
  }
  const name = `checkout_session_conformance_${randomUUID()}`;
  await administrate(TEST_DATABASE_URL, `CREATE DATABASE "${name}"`);
  const url = new URL(TEST_DATABASE_URL);
  url.pathname = `/${name}`;
  return {
    environment: { DATABASE_URL: url.href },
    remove: () => administrate(TEST_DATABASE_URL, `DROP DATABASE "${name}" WITH (FORCE)`),
  };
}

/** A session as Stripe has it. @param {string} id */
const stripeSession = (id) => ({
  ...{ id, object: 'checkout.session', mode: 'payment', status: 'complete', payment_status: 'paid' },
  ...{ amount_subtotal: 2000, amount_total: 2198, currency: 'usd', created: 1_769_860_800, expires_at: 1_769_947_200 },
  ...{ livemode: id.startsWith('cs_live_'), metadata: {}, payment_method_types: ['card'] },
  line_items: { object: 'list', data: [], has_more: false },
});

const noSuchSession = {
  error: { code: 'resource_missing', message: 'No such session', type: 'invalid_request_error' },
};

/** What of Stripe's API a request can reach, which is one session: it has every session whose id looks like one. */
async function startStripe() {
  const stripe = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://127.0.0.1').pathname;
    const id = decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
    const isKnown = id.startsWith('cs_');
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown ? stripeSession(id) : noSuchSession));
  }).listen(0, '127.0.0.1');
  await once(stripe, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (stripe.address());
  return { url: `http://127.0.0.1:${port}`, close: () => stripe.close() };
}

/**
 * Starts the service with all that an operation can need, so that none answers that something is not configured.
 *
 * @param {Record<string, string>} environment
 * @returns {Promise<Service>}
 */
export async function startService(environment) {
  const database = await emptyDatabase();
  const stripe = await startStripe();
  const child = spawn(process.execPath, [server], {
    cwd: tmpdir(),
    env: {
      ...{ PATH: process.env.PATH ?? '', PORT: '0', ...database.environment, ...environment },
      ...{ STRIPE_API_BASE: stripe.url, STRIPE_API_KEYS: 'sk_test_conformance,sk_live_conformance' },
      // What is turned away because this machine is busy says nothing of the contract.
      MAX_EVENT_LOOP_DELAY_MS: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  process.on('exit', () => child.kill('SIGKILL'));
  /** @type {string[]} */
  const errors = [];
  const url = await new Promise((resolve, reject) => {
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const entry = JSON.parse(line);
        if (entry.msg === 'listening') resolve(entry.address);
        if (['error', 'fatal'].includes(entry.level)) errors.push(line);
      }
    });
    void exited.then(() => reject(new Error('the service ended before it listened')));
  });
  return {
    url,
    errors: () => errors,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      stripe.close();
      await database.remove();
    },
  };
}
