/**
 * What the writers do, and what the database must hold afterwards. Every write carries a word of its own in several
 * columns, so that a half-written one shows.
 */
import Stripe from 'stripe';

/**
 * @typedef {object} Fields the columns that writes are told apart by
 * @property {string | null} description
 * @property {string} client_reference_id
 * @property {string} success_url
 * @property {string | null} customer
 * @property {Record<string, string> | null} metadata
 * @property {Record<string, string> | null} display_items
 * @property {string | null} raw the word in Stripe's raw object
 * @property {string | null} event that it came with
 *
 * @typedef {object} State what the database holds of one id
 * @property {Fields | null} session
 * @property {boolean} isDeleted a tombstone holds the id
 * @property {Record<string, string>} events their outcomes in the ledger, by id
 *
 * @typedef {object} Operation
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>} [headers]
 * @property {string} [payload] JSON
 * @property {number} status of the answer that acknowledges it
 * @property {string} [outcome] that such an answer names
 * @property {State} after
 */

export const sessionsPath = '/api/checkout-sessions';
export const webhookSecret = 'whsec_faults';

/** @type {Readonly<State>} */
export const nothing = Object.freeze({ session: null, isDeleted: false, events: {} });

const { webhooks } = new Stripe('sk_test_unused');
const constant = { mode: 'payment', submit_type: 'pay', billing_address_collection: 'auto', payment_method_types: {} };
const none = { description: null, display_items: null, raw: null, event: null };

/** What both Stripe and a client write of a word. @param {string} word */
const common = (word) => ({
  client_reference_id: word,
  success_url: `https://shop.example.com/${word}`,
  customer: `cus_${word}`,
  metadata: { written: word },
});

/** All that a client writes of a word. @param {string} word */
const whole = (word) => ({ ...common(word), description: word, display_items: { item: word } });

/** @param {string} id @param {string} word @param {State} before @returns {Operation} */
function create(id, word, before) {
  const session = { ...none, ...whole(word) };
  const payload = JSON.stringify({ ...constant, ...whole(word), id });
  return { method: 'POST', path: sessionsPath, payload, status: 201, after: { ...before, session, isDeleted: false } };
}

/** @param {string} id @param {string} word @param {State} before @returns {Operation} */
function replace(id, word, before) {
  const session = { ...none, ...before.session, ...whole(word) };
  const payload = JSON.stringify({ ...constant, ...whole(word), id });
  const status = before.session ? 200 : 201;
  return {
    method: 'PUT',
    path: `${sessionsPath}/${id}`,
    payload,
    status,
    after: { ...before, session, isDeleted: false },
  };
}

/** @param {string} id @param {string} word @param {State & { session: Fields }} before @returns {Operation} */
function patch(id, word, before) {
  const own = { description: word, success_url: `https://shop.example.com/${word}` };
  const session = { ...before.session, ...own, metadata: { ...before.session.metadata, patched: word } };
  const payload = JSON.stringify({ ...own, metadata: { patched: word } });
  return { method: 'PATCH', path: `${sessionsPath}/${id}`, payload, status: 200, after: { ...before, session } };
}

/** @param {string} id @param {string} _word @param {State} before @returns {Operation} */
function remove(id, _word, before) {
  const after = { ...before, session: null, isDeleted: true };
  return { method: 'DELETE', path: `${sessionsPath}/${id}`, status: 204, after };
}

/** An event that is newer than all before it. @param {string} id @param {string} word @param {State} before @returns {Operation} */
function deliver(id, word, before) {
  const event = `evt_${word}`;
  const object = { object: 'checkout.session', ...common(word), id, mode: 'payment', livemode: false };
  const payload = JSON.stringify({
    ...{ id: event, object: 'event', type: 'checkout.session.completed', livemode: false, api_version: '2026-07-29' },
    created: Math.floor(Date.now() / 1000),
    data: { object: { ...object, status: 'complete', payment_status: 'paid', payment_method_types: ['card'] } },
  });
  const outcome = before.isDeleted ? 'deleted' : 'applied';
  const headers = { 'stripe-signature': webhooks.generateTestHeaderString({ payload, secret: webhookSecret }) };
  const session = before.isDeleted ? null : { ...none, ...before.session, ...common(word), raw: word, event };
  const after = { ...before, session, events: { ...before.events, [event]: outcome } };
  return { method: 'POST', path: '/webhooks/stripe', headers, payload, status: 200, outcome, after };
}

let words = 0;

/**
 * The next write of a session, by chance.
 *
 * @param {string} id @param {State} before @returns {Operation}
 */
export function nextOperation(id, before) {
  words += 1;
  const word = String(words).padStart(12, '0');
  const chance = Math.random();
  const { session } = before;
  if (!session) return (chance < 0.4 ? create : chance < 0.7 ? replace : deliver)(id, word, before);
  if (chance < 0.35) return patch(id, word, { ...before, session });
  return (chance < 0.6 ? replace : chance < 0.85 ? deliver : remove)(id, word, before);
}
