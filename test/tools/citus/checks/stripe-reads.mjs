/** Checks of reads in Stripe's shape: one, many at once, lists with every filter, pages in both directions, line items. */
import { lineItems, stripeSession } from '../stripe-session.mjs';

/** @typedef {import('../checks.mjs').Trial} Trial */

const path = '/v1/checkout/sessions';
const numbers = Array.from({ length: 30 }, (_, index) => index);
const second = 1_780_000_000;

/** @param {Trial} trial */
export async function checkStripeReads(trial) {
  const { check, client, run, idOf } = trial;
  const outcomes = await Promise.all(
    numbers.map((number) => {
      const id = idOf(`read${number}`);
      const object = stripeSession(id, {
        ...{ created: second + number, customer: `cus_read${run}`, customer_account: `acct_read${run}` },
        ...{ payment_link: `plink_read${run}`, customer_details: { email: `reader${run}@example.com` } },
        ...{ payment_intent: `pi_${run}_${number}`, subscription: `sub_${run}_${number}`, line_items: lineItems(id) },
      });
      return client.deliver({ id: `evt_${run}_read${number}`, created: second + number, object });
    }),
  );
  check(
    '30 events with line items at once',
    outcomes.every((outcome) => outcome === 'applied'),
    outcomes,
  );
  await checkRetrieve(trial);
  await checkLists(trial);
  await checkLineItems(trial);
  await checkStatistics(trial);
}

/** Checks the statistics of the day on which the sessions were created. @param {Trial} trial */
async function checkStatistics({ check, client: { call } }) {
  const day = new Date(1000 * second).toISOString().slice(0, 10);
  for (const mode of ['', '&livemode=false']) {
    const { json, ...answer } = await call('GET', `/api/statistics/daily?until=${day}&days=1${mode}`);
    const [counted] = json?.days ?? [];
    const isCounted = counted?.date === day && counted.paid >= numbers.length && counted.amounts[0]?.currency === 'eur';
    check(`the statistics of a day${mode}`, isCounted, answer);
  }
}

/** @param {Trial} trial */
async function checkRetrieve({ check, client: { call, session }, idOf, stripe }) {
  const one = await call('GET', `${path}/${idOf('read0')}`);
  check("one session in Stripe's shape", one.json?.id === idOf('read0') && one.json.line_items === undefined, one);
  check('the session comes from the mirror', one.source === 'stored', one.source);
  const expanded = await call('GET', `${path}/${idOf('read0')}?expand[]=line_items`);
  check('a session with its line items', expanded.json?.line_items?.data.length === 3, expanded);
  const all = await Promise.all(numbers.map((number) => call('GET', `${path}/${idOf(`read${number}`)}`)));
  const areRight = all.every(({ json }, number) => json?.created === second + number);
  check(
    "30 sessions in Stripe's shape at once",
    areRight,
    all.find(({ status }) => status !== 200),
  );
  const missing = await call('GET', `${path}/${idOf('nowhere')}`);
  check(
    'a session that neither the mirror nor Stripe has',
    missing.status === 404 && missing.json.error.code === 'resource_missing',
    missing,
  );
  const fresh = idOf('fresh');
  stripe.sessions.set(fresh, stripeSession(fresh, { line_items: lineItems(fresh) }));
  const fetched = await call('GET', `${path}/${fresh}`);
  check('a session that only Stripe has', fetched.source === 'stripe' && fetched.json?.id === fresh, fetched);
  await session('DELETE', fresh);
  const deleted = await call('GET', `${path}/${fresh}`);
  check('a session that is deleted in the mirror', deleted.status === 404, deleted);
}

/** @param {Trial} trial */
async function checkLists({ check, client: { call }, run, idOf }) {
  const customer = `customer=cus_read${run}`;
  /** @type {[string, number][]} */
  const lists = [
    [`${customer}&limit=100`, 30],
    [`customer_account=acct_read${run}&limit=7`, 7],
    [`payment_link=plink_read${run}`, 10],
    [`customer_details[email]=Reader${run}@example.com&limit=100`, 30],
    [`payment_intent=pi_${run}_4`, 1],
    [`subscription=sub_${run}_5`, 1],
    [`status=complete&${customer}&limit=100`, 30],
    [`status=open&${customer}`, 0],
    [`${customer}&created[gte]=${second + 20}&created[lt]=${second + 25}`, 5],
    [`${customer}&created=${second + 3}`, 1],
    [`${customer}&expand[]=data.line_items&limit=3`, 3],
  ];
  for (const [query, count] of lists) {
    const page = await call('GET', `${path}?${query}`);
    check(`Stripe's list ?${query.replaceAll(run, '…')}`, page.json?.data?.length === count, page);
  }
  const seen = [];
  for (let cursor = '', more = true; more && seen.length < 100; ) {
    const page = await call('GET', `${path}?${customer}&limit=8${cursor}`);
    seen.push(...(page.json?.data ?? []).map((/** @type {{ id: string }} */ { id }) => id));
    more = page.json?.has_more === true;
    cursor = `&starting_after=${seen.at(-1)}`;
  }
  const expected = [...numbers].reverse().map((number) => idOf(`read${number}`));
  check("all pages of Stripe's list, newest first", seen.join() === expected.join(), seen);
  const before = await call('GET', `${path}?${customer}&limit=4&ending_before=${idOf('read10')}`);
  const found = before.json?.data?.map((/** @type {{ id: string }} */ { id }) => id).join();
  check(
    "the page before in Stripe's list",
    found === [14, 13, 12, 11].map((number) => idOf(`read${number}`)).join(),
    before,
  );
}

/** @param {Trial} trial */
async function checkLineItems({ check, client: { call }, idOf }) {
  const items = `${path}/${idOf('read1')}/line_items`;
  const all = await call('GET', items);
  check('line items', all.json?.data?.length === 3 && all.json.has_more === false, all);
  const second = await call('GET', `${items}?limit=1&starting_after=li_1`);
  check('line items, the second page', second.json?.data?.[0]?.id === 'li_2' && second.json.has_more, second);
}
