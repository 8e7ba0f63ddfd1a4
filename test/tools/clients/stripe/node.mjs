/** stripe-node, unmodified, with the host of the service. `EXPECT` is `reads`, or names the error that every call throws. */
import assert from 'node:assert/strict';
import Stripe from 'stripe';

const { BASE_URL, STRIPE_KEY, READ_KEY, EXPECT } = /** @type {Record<string, string>} */ (process.env);
const { hostname, port } = new URL(/** @type {string} */ (BASE_URL));
/** @param {string} [key] */
const sdk = (key = STRIPE_KEY) =>
  new Stripe(/** @type {string} */ (key), { host: hostname, port, protocol: 'http', maxNetworkRetries: 0 });
const { sessions } = sdk().checkout;
const { errors } = Stripe;

/** @param {Promise<unknown>} call @param {Function} kind @param {object} fields */
async function throws(call, kind, fields) {
  await assert.rejects(call, (error) => {
    assert(error instanceof kind, `${error}`);
    for (const [name, value] of Object.entries(fields)) assert.equal(/** @type {any} */ (error)[name], value);
    return true;
  });
}

async function reads() {
  const forwards = [];
  for await (const { id } of sessions.list({ limit: 100, customer: 'cus_paged' })) forwards.push(id);
  assert.equal(new Set(forwards).size, 250);
  assert.equal(forwards.length, 250);
  const backwards = [];
  const ending_before = /** @type {string} */ (forwards.at(-1));
  for await (const { id } of sessions.list({ limit: 100, customer: 'cus_paged', ending_before })) backwards.push(id);
  assert.deepEqual(backwards, forwards.slice(0, -1).reverse());

  const session = await sessions.retrieve('cs_test_items');
  assert.deepEqual([session.status, session.amount_total, session.client_secret], ['complete', 2198, null]);
  const items = [];
  for await (const { id } of sessions.listLineItems('cs_test_items', { limit: 5 })) items.push(id);
  assert.equal(new Set(items).size, 23);

  const { StripeInvalidRequestError, StripeAuthenticationError, StripePermissionError } = errors;
  const missing = { statusCode: 404, code: 'resource_missing', param: 'session' };
  await throws(sessions.retrieve('cs_test_none'), StripeInvalidRequestError, missing);
  const limit = { statusCode: 400, code: 'parameter_invalid_integer', param: 'limit' };
  await throws(sessions.list({ limit: 101 }), StripeInvalidRequestError, limit);
  const unknown = { statusCode: 400, code: 'parameter_unknown', param: 'size' };
  await throws(sessions.list(/** @type {object} */ ({ size: 5 })), StripeInvalidRequestError, unknown);
  const expand = { statusCode: 400, param: 'expand' };
  await throws(sessions.retrieve('cs_test_items', { expand: ['customer'] }), StripeInvalidRequestError, expand);
  await throws(sdk('sk_test_of_nobody').checkout.sessions.list(), StripeAuthenticationError, { statusCode: 401 });
  await throws(sdk(READ_KEY).checkout.sessions.list(), StripePermissionError, { statusCode: 403 });
}

/** @type {Record<string, () => Promise<void>>} */
const parts = {
  reads,
  'rate limit': async () => {
    await sessions.list();
    await throws(sessions.list(), errors.StripeRateLimitError, { statusCode: 429 });
  },
  unavailable: () => throws(sessions.list(), errors.StripeAPIError, { statusCode: 503 }),
};
await parts[/** @type {string} */ (EXPECT)]?.();
