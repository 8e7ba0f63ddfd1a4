/**
 * The writes of the load, and the state that each leaves in the database. Every write puts a word of its own into several
 * columns, so that a half-written row mixes two words.
 */
import { eventOf, signed } from '../lib/delivery.mjs';

/**
 * @typedef {object} Fields columns that hold a write's word
 * @property {string | null} description
 * @property {string} client_reference_id
 * @property {string} success_url
 * @property {string | null} customer
 * @property {Record<string, string> | null} metadata
 * @property {Record<string, string> | null} display_items
 * @property {string | null} raw the word in Stripe's raw object
 * @property {string | null} event the event that brought the raw object
 *
 * @typedef {object} State the content of the database for one id
 * @property {Fields | null} session
 * @property {boolean} isDeleted whether a tombstone holds the id
 * @property {Record<string, string>} events outcomes in the ledger, by event id
 *
 * @typedef {object} Expected
 * @property {number} status of the answer that acknowledges the write
 * @property {string} [outcome] in the body of that answer
 * @property {State} after the state once the write is done
 *
 * @typedef {import('../lib/request.mjs').Request & Expected} Operation
 */

export const sessionsPath = '/api/checkout-sessions';

/** @type {Readonly<State>} */
export const emptyState = Object.freeze({ session: null, isDeleted: false, events: {} });

const constantFields = {
  ...{ mode: 'payment', submit_type: 'pay', billing_address_collection: 'auto', payment_method_types: {} },
};
const emptyFields = { description: null, display_items: null, raw: null, event: null };

/** Returns the fields that both Stripe and a client write. @param {string} word */
const sharedFields = (word) => ({
  client_reference_id: word,
  success_url: `https://shop.example.com/${word}`,
  customer: `cus_${word}`,
  metadata: { written: word },
});

/** Returns the fields that a client writes. @param {string} word */
const clientFields = (word) => ({ ...sharedFields(word), description: word, display_items: { item: word } });

/** @param {string} id @param {string} word @param {State} before @returns {Operation} */
function create(id, word, before) {
  const session = { ...emptyFields, ...clientFields(word) };
  const payload = JSON.stringify({ ...constantFields, ...clientFields(word), id });
  return { method: 'POST', path: sessionsPath, payload, status: 201, after: { ...before, session, isDeleted: false } };
}

/** @param {string} id @param {string} word @param {State} before @returns {Operation} */
function replace(id, word, before) {
  const session = { ...emptyFields, ...before.session, ...clientFields(word) };
  return {
    method: 'PUT',
    path: `${sessionsPath}/${id}`,
    payload: JSON.stringify({ ...constantFields, ...clientFields(word), id }),
    status: before.session ? 200 : 201,
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

/**
 * Delivers an event that is newer than all earlier ones.
 *
 * @param {string} id @param {string} word @param {State} before
 * @returns {Operation}
 */
function deliverEvent(id, word, before) {
  const event = `evt_${word}`;
  const delivery = signed(
    eventOf(event, {
      ...{ object: 'checkout.session', ...sharedFields(word), id, mode: 'payment', livemode: false },
      ...{ status: 'complete', payment_status: 'paid', payment_method_types: ['card'] },
    }),
  );
  const outcome = before.isDeleted ? 'deleted' : 'applied';
  const session = before.isDeleted
    ? null
    : { ...emptyFields, ...before.session, ...sharedFields(word), raw: word, event };
  const after = { ...before, session, events: { ...before.events, [event]: outcome } };
  return { method: 'POST', path: '/webhooks/stripe', ...delivery, status: 200, outcome, after };
}

let words = 0;

/**
 * Returns the next write of a session, chosen at random.
 *
 * @param {string} id @param {State} before @returns {Operation}
 */
export function nextOperation(id, before) {
  words += 1;
  const word = String(words).padStart(12, '0');
  const chance = Math.random();
  const { session } = before;
  if (!session) return (chance < 0.4 ? create : chance < 0.7 ? replace : deliverEvent)(id, word, before);
  if (chance < 0.35) return patch(id, word, { ...before, session });
  return (chance < 0.6 ? replace : chance < 0.85 ? deliverEvent : remove)(id, word, before);
}
