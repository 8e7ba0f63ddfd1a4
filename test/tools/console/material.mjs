/** What the console is tried with: a month of a shop, delivered as Stripe delivers it. */
import { ok } from 'node:assert';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import Stripe from 'stripe';

const { webhooks } = new Stripe('sk_test_unused');
const day = 86_400;

/** Numbers that look random and are the same in each run. @param {number} seed */
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
/** What 100 units of the smallest kind are of each currency's own. */
const scale = { usd: 1, eur: 1, jpy: 1.5, kwd: 3 };

/** The state that a session ends in, and the event that says so. */
const ends = [
  { share: 0.62, type: 'checkout.session.completed', status: 'complete', payment_status: 'paid' },
  { share: 0.67, type: 'checkout.session.async_payment_failed', status: 'complete', payment_status: 'unpaid' },
  { share: 0.71, type: 'checkout.session.completed', status: 'complete', payment_status: 'no_payment_required' },
  { share: 0.9, type: 'checkout.session.expired', status: 'expired', payment_status: 'unpaid' },
  { share: 1, type: 'checkout.session.completed', status: 'open', payment_status: 'unpaid' },
];

/**
 * Makes the events of a month that ends now.
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
    } = /** @type {typeof ends[number]} */ (ends.find(({ share }) => luck <= share));
    const currency = currencies[Math.floor(random() * currencies.length)] ?? 'usd';
    const session = sessionOf({ index, created, currency, random, ...state });
    return eventOf(session, { type, created: Math.min(now, created + Math.floor(60 + random() * 900)) });
  });
}

/** @param {{ index: number, created: number, currency: keyof typeof scale, random: () => number, status: string, payment_status: string }} what */
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

/** The text that a page must never take for markup. */
export const hostileText = `"><img src=x onerror="document.title='broken'"><script>document.title='broken'</script>\u202e{{7*7}}`;

/** A session in which every text of a stranger is hostile. */
export function hostileEvent() {
  return eventOf({
    ...sessionOf({
      index: 1,
      created: Math.floor(Date.now() / 1000) - 30,
      currency: 'usd',
      random: randomNumbers(3),
      status: 'complete',
      payment_status: 'paid',
    }),
    ...{ id: `cs_live_hostile"><b>x`, livemode: true, currency: '<b>', client_reference_id: hostileText },
    ...{ customer_email: hostileText, customer: 'javascript:alert(1)', payment_intent: '../../javascript:alert(1)' },
    metadata: { [hostileText]: hostileText, __proto__: 'x', constructor: 'y', long: 'x'.repeat(5000) },
    line_items: {
      object: 'list',
      data: [{ id: 'li_1', description: hostileText, quantity: 1, amount_total: 100, currency: 'usd' }],
    },
  });
}

/**
 * Delivers events, each signed.
 *
 * @param {{ url: string, environment: { WEBHOOK_SECRET: string } }} service @param {object[]} all
 */
export async function deliver({ url, environment }, all) {
  for (const event of all) {
    const payload = JSON.stringify(event);
    const signature = webhooks.generateTestHeaderString({ payload, secret: environment.WEBHOOK_SECRET });
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature };
    const response = await fetch(`${url}/webhooks/stripe`, { method: 'POST', headers, body: payload });
    ok(response.ok, await response.text());
  }
}

const recorded = new URL('../../../../shared/fixtures/events/', import.meta.url);

/** Events that were recorded from Stripe, where that folder is there, each with ids of its own. */
export function recordedEvents() {
  if (!existsSync(recorded)) return [];
  const names = readdirSync(recorded).filter((name) => name.endsWith('.json'));
  return names.map((name, index) => {
    const event = JSON.parse(readFileSync(new URL(name, recorded), 'utf8'));
    event.data.object.id = `cs_test_recorded_${index}`;
    return { ...event, id: `evt_recorded_${index}` };
  });
}
