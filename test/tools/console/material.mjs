/** Events for the console: a month of a shop. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { deliver } from '../lib/delivery.mjs';

const day = 86_400;

/** Returns a generator of pseudo-random numbers: the same in every run. @param {number} seed */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const people = ['jenny.rosen', 'amara.okafor', 'li.wei', 'sofia.garcia', 'jonas.becker', 'yuki.tanaka', 'noor.haddad'];
const goods = [
  { description: 'Walnut desk lamp', amount: 8900 },
  { description: 'Linen notebook, A5', amount: 1450 },
  { description: 'Monthly coffee, 2 × 250 g', amount: 2800 },
  { description: 'Ceramic pour-over set', amount: 6400 },
];
const currencies = /** @type {const} */ (['usd', 'usd', 'usd', 'usd', 'eur', 'eur', 'jpy', 'kwd']);
/** Price levels of the currencies, in their smallest units. */
const scale = { usd: 1, eur: 1, jpy: 1.5, kwd: 3 };

/** The last states of sessions, each with its event. `share` is cumulative. */
const lastStates = [
  { share: 0.62, type: 'checkout.session.completed', status: 'complete', payment_status: 'paid' },
  { share: 0.67, type: 'checkout.session.async_payment_failed', status: 'complete', payment_status: 'unpaid' },
  { share: 0.71, type: 'checkout.session.completed', status: 'complete', payment_status: 'no_payment_required' },
  { share: 0.9, type: 'checkout.session.expired', status: 'expired', payment_status: 'unpaid' },
  { share: 1, type: 'checkout.session.completed', status: 'open', payment_status: 'unpaid' },
];

/**
 * Returns the events of a month that ends now, newest first.
 *
 * @param {number} count
 */
export function monthOfEvents(count) {
  const random = randomNumbers(7);
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, (_, index) => {
    const age = (index / count) ** 1.15 * 29.5 * day;
    const created = Math.floor(now - 90 - age * (0.97 + 0.03 * random()));
    const luck = random();
    const {
      type,
      share: _share,
      ...state
    } = /** @type {typeof lastStates[number]} */ (lastStates.find(({ share }) => luck <= share));
    const currency = currencies[Math.floor(random() * currencies.length)] ?? 'usd';
    const session = sessionOf({ index, created, currency, random, ...state });
    return eventOf(session, { type, created: Math.min(now, created + Math.floor(60 + random() * 900)) });
  });
}

/**
 * @param {{ index: number, created: number, currency: keyof typeof scale, random: () => number, status: string, payment_status: string }} options
 */
function sessionOf({ index, created, currency, random, ...state }) {
  const item = goods[Math.floor(random() * goods.length)] ?? { description: 'Item', amount: 1000 };
  const quantity = 1 + Math.floor(random() * 2);
  const total = Math.round((item.amount * quantity * scale[currency]) / 10) * 10;
  const person = people[Math.floor(random() * people.length)];
  const isFree = state.payment_status === 'no_payment_required';
  const id = Math.floor(random() * 1e15)
    .toString(36)
    .padStart(10, '0');
  return {
    id: `cs_${index % 9 === 4 ? 'test' : 'live'}_a1${id}${'Qw7ErTyUiOpAsDfGhJkLzXcVbNm'.slice(index % 20)}`,
    object: 'checkout.session',
    amount_subtotal: isFree ? 0 : total,
    amount_total: isFree ? 0 : total,
    client_reference_id: `cart-${6000 + index}`,
    created,
    currency,
    customer: random() < 0.7 ? `cus_N${id}` : null,
    customer_details: { email: `${person}@example.com`, name: person, address: null },
    customer_email: random() < 0.6 ? `${person}@example.com` : null,
    expires_at: created + day,
    line_items: {
      object: 'list',
      has_more: false,
      data: [
        { id: `li_${id}`, object: 'item', ...item, quantity, amount_total: total, amount_subtotal: total, currency },
      ],
    },
    livemode: index % 9 !== 4,
    locale: 'en',
    metadata: { order: String(20_000 + index), shop: ['berlin', 'osaka', 'kuwait'][index % 3] },
    mode: isFree ? 'setup' : index % 6 === 5 ? 'subscription' : 'payment',
    payment_intent: isFree || index % 6 === 5 ? null : `pi_3M${id}`,
    payment_method_types: ['card', 'link'],
    subscription: !isFree && index % 6 === 5 ? `sub_1N${id}` : null,
    success_url: 'https://shop.example.com/thanks',
    url: null,
    ...state,
  };
}

let events = 0;

/**
 * @template {{ id: string, livemode: boolean }} Session
 * @param {Session} session
 * @param {{ type?: string, created?: number }} [fields]
 */
export function eventOf(
  session,
  { type = 'checkout.session.completed', created = Math.floor(Date.now() / 1000) } = {},
) {
  events += 1;
  return {
    id: `evt_1Console${String(events).padStart(8, '0')}`,
    object: 'event',
    type,
    created,
    livemode: session.livemode,
    api_version: '2026-10-28.endive',
    data: { object: session },
  };
}

/** A text that the page must not treat as markup. */
export const hostileText = `"><img src=x onerror="document.title='broken'"><script>document.title='broken'</script>\u202e{{7*7}}`;

/** Returns events of two sessions: with hostile text in every property that a customer can set, and with long values. */
export function hostileEvents() {
  const created = Math.floor(Date.now() / 1000) - 30;
  const state = { status: 'complete', payment_status: 'paid' };
  const session = sessionOf({ index: 1, created, currency: 'usd', random: randomNumbers(3), ...state });
  const long = {
    id: 'cs_live_long',
    currency: 'idr',
    amount_total: 9_999_999_999_999,
    customer_email: `${'a'.repeat(64)}@b.example`,
  };
  const hostile = {
    ...session,
    ...{ id: `cs_live_hostile"><b>x`, livemode: true, currency: '<b>', client_reference_id: hostileText },
    ...{ customer_email: hostileText, customer: 'javascript:alert(1)', payment_intent: '../../javascript:alert(1)' },
    metadata: { [hostileText]: hostileText, __proto__: 'x', constructor: 'y', long: 'x'.repeat(5000) },
    line_items: {
      object: 'list',
      data: [{ id: 'li_1', description: hostileText, quantity: 1, amount_total: 100, currency: 'usd' }],
    },
  };
  return [eventOf({ ...session, ...long }), eventOf(hostile)];
}

/** Delivers events in their order. @param {{ url: string }} service @param {readonly object[]} list */
export async function deliverAll({ url }, list) {
  for (const event of list) await deliver(url, event);
}

const recorded = new URL('../../../../shared/fixtures/events/', import.meta.url);

/** Returns recorded events of Stripe with ids of their own; none if their folder does not exist. */
export function recordedEvents() {
  if (!existsSync(recorded)) return [];
  const names = readdirSync(recorded).filter((name) => name.endsWith('.json'));
  return names.map((name, index) => {
    const event = JSON.parse(readFileSync(new URL(name, recorded), 'utf8'));
    event.data.object.id = `cs_test_recorded_${index}`;
    return { ...event, id: `evt_recorded_${index}` };
  });
}
