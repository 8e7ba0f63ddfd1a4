/** Checks of deliveries: in any order, repeated, many at once, of deleted sessions; and of reads of their sessions. */
import { stripeSession } from '../stripe-session.mjs';
import { bodyOf } from './sessions.mjs';

/** @typedef {import('../checks.mjs').Trial} Trial */

const second = 1_767_323_100;
/** 40 events of 8 sessions, to deliver at once. */
const events = Array.from({ length: 40 }, (_, index) => ({ index, session: index % 8, order: (index * 7) % 40 }));

/** @param {Trial} trial */
export async function checkWebhooks(trial) {
  await checkOrder(trial);
  await checkReads(trial);
  await checkDeleted(trial);
  await checkAtOnce(trial);
}

/** @param {Trial} trial */
async function checkOrder({ check, client: { session, deliver }, run, idOf }) {
  const id = idOf('hook');
  const send = (/** @type {number} */ name, /** @type {object} */ fields = {}, type = 'checkout.session.completed') =>
    deliver({
      id: `evt_${run}_${name}`,
      created: second + 10 * name,
      object: stripeSession(id, { customer: `cus_st${run}`, ...fields }),
      type,
    });
  const open = { status: 'open', payment_status: 'unpaid' };
  const first = await send(1, open, 'checkout.session.created');
  check('an event of a new session', first === 'applied', first);
  const again = await send(1, open, 'checkout.session.created');
  check('the same event again', again === 'duplicate', again);
  const newer = await send(3);
  check('a newer event', newer === 'applied', newer);
  const older = await send(2, { payment_status: 'unpaid' });
  check('an older event', older === 'stale', older);
  const patched = await session('PATCH', id, { description: 'mine' });
  const same = await send(5);
  check('an event without a change', same === 'applied', same);
  const after = await session('GET', id);
  check(
    'an event without a change keeps the session and its ETag',
    after.etag === patched.etag && after.text === patched.text,
    after,
  );
}

/** @param {Trial} trial */
async function checkReads({ check, client: { call, session }, idOf }) {
  const id = idOf('hook');
  const payment = await session('GET', `${id}/payment`);
  check('GET /payment', payment.json?.amount_total === 2198 && payment.json.last_event_type !== null, payment);
  const raw = await session('GET', `${id}/stripe-data`);
  check('GET /stripe-data', raw.json?.currency === 'eur', raw);
  const included = await session('GET', `${id}?include=payment`);
  check('GET with the payment of Stripe', included.json?.payment?.payment_status === 'paid', included);
  const ledger = await call('GET', `/api/stripe-events?session_id=${id}`);
  check('GET /api/stripe-events of a session', ledger.json?.results?.length === 4, ledger);
  const page = await call('GET', '/api/stripe-events?limit=2&count=exact');
  check('GET /api/stripe-events, counted', page.json?.count >= 4 && page.json.results.length === 2, page);
  const next = await call('GET', String(page.json?.next));
  check('GET /api/stripe-events, the next page', next.status === 200 && next.json.results.length > 0, next);
  for (const filter of [
    'outcome=stale',
    'type=checkout.session.completed&ordering=received_at',
    `id=${ledger.json?.results?.[0]?.id}`,
  ]) {
    const filtered = await call('GET', `/api/stripe-events?${filter}`);
    check(`GET /api/stripe-events?${filter.replace(/evt_\w+/, 'evt_…')}`, filtered.json?.results?.length > 0, filtered);
  }
}

/** @param {Trial} trial */
async function checkDeleted({ check, client: { session, deliver }, run, idOf }) {
  const id = idOf('hook-gone');
  const send = (/** @type {number} */ name) =>
    deliver({ id: `evt_${run}_d${name}`, created: second + name, object: stripeSession(id) });
  await session('PUT', id, bodyOf(run, id));
  await session('DELETE', id);
  const refused = await send(1);
  check('an event of a deleted session', refused === 'deleted', refused);
  const still = await session('GET', id);
  check('the session stays deleted', still.status === 404, still);
  await session('PUT', id, bodyOf(run, id));
  const applied = await send(2);
  check('an event of a session that was created again', applied === 'applied', applied);
  const again = await send(1);
  check('the event from the time of the deletion', again === 'duplicate', again);
}

/** @param {Trial} trial */
async function checkAtOnce({ check, client: { session, deliver }, run, idOf }) {
  const outcomes = await Promise.all(
    events.map(({ index, session: number, order }) =>
      deliver({
        id: `evt_${run}_c${index}`,
        created: second + order,
        object: stripeSession(idOf(`hooks${number}`), { order }),
      }),
    ),
  );
  const areDone = outcomes.every((outcome) => ['applied', 'stale'].includes(outcome));
  check('40 events of 8 sessions at once', areDone, outcomes);
  /** @type {unknown[]} */
  const wrong = [];
  for (let number = 0; number < 8; number += 1) {
    const newest = Math.max(...events.filter((event) => event.session === number).map(({ order }) => order));
    const { json } = await session('GET', `${idOf(`hooks${number}`)}/stripe-data`);
    if (json?.order !== newest) wrong.push({ number, newest, stored: json?.order });
  }
  check('each session has its newest state', wrong.length === 0, wrong);
  const object = stripeSession(idOf('hook-same'));
  const same = await Promise.all(
    Array.from({ length: 10 }, () => deliver({ id: `evt_${run}_same`, created: second, object })),
  );
  const applied = same.filter((outcome) => outcome === 'applied').length;
  const duplicates = same.filter((outcome) => outcome === 'duplicate').length;
  check('one event ten times at once', applied === 1 && duplicates === 9, same);
  const number = (await session('GET', `${idOf('hook-same')}`)).json?.djstripe_id;
  check('its session has a djstripe_id below 2^31', number < 2 ** 31, number);
}
