/** Checks of lists: every ordering through all pages, every kind of filter, one by one and many at once. */
import { sessionsPath } from '../../load/operations.mjs';
import { stripeSession } from '../stripe-session.mjs';

/** @typedef {import('../checks.mjs').Trial} Trial */

const orderings = ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'].flatMap((name) => [
  name,
  `-${name}`,
]);
/** Requests of one list. From the fifth on, its statement is prepared and may serve several requests. */
const repeats = 7;

/** @param {Trial} trial */
export async function checkLists(trial) {
  for (const ordering of orderings) await checkPages(trial, ordering);
  await checkFilters(trial);
  await checkAtOnce(trial);
}

/** @param {Trial} trial @param {string} ordering */
async function checkPages({ check, client: { call }, run }, ordering) {
  const first = `${sessionsPath}?id__startswith=cs_test_${run}&ordering=${ordering}&limit=20&count=exact`;
  const seen = [];
  let page = await call('GET', first);
  const count = page.json?.count;
  for (;;) {
    seen.push(...(page.json?.results ?? []).map((/** @type {{ id: string }} */ { id }) => id));
    if (!page.json?.next) break;
    page = await call('GET', page.json.next);
  }
  const isWhole = seen.length === count && new Set(seen).size === count && count > 40;
  check(`all pages by ${ordering}`, isWhole, { seen: seen.length, count, status: page.status });
  const back = await call('GET', String(page.json?.previous));
  check(`the page before by ${ordering}`, back.json?.results?.length === 20, back);
}

/** @param {Trial} trial */
async function checkFilters({ check, client: { call, deliver }, run, idOf }) {
  const references = { customer_account: `acct_${run}`, payment_link: `plink_${run}`, invoice: `in_${run}` };
  const object = stripeSession(idOf('refs'), {
    ...references,
    customer_details: { email: `Typed${run}@Example.com` },
    ...{ payment_intent: `pi_${run}`, subscription: `sub_${run}` },
  });
  const outcome = await deliver({ id: `evt_${run}_refs`, created: 1_767_323_100, object });
  check('an event with references', outcome === 'applied', outcome);
  for (const filter of [
    `customer=cus_${run}`,
    `customer__in=cus_${run},x`,
    `customer_email=p${run}@example.com`,
    `customer_email__iexact=P${run}@EXAMPLE.com`,
    `email=P${run}@example.com`,
    `email__in=typed${run}@example.com,nobody@example.com`,
    ...Object.entries(references).flatMap(([name, id]) => [
      `${name}=${id}`,
      `${name}__in=${id},x`,
      `${name}__isnull=false`,
    ]),
    `payment_intent=pi_${run}`,
    `subscription=sub_${run}`,
    `id__startswith=cs_test_${run}`,
    'metadata[a]=1',
    'metadata[order]=7',
    'payment_method_types__contains=card',
    'status=complete',
    'payment_status__in=paid,unpaid',
    'created__gt=2026-01-01T00:00:00Z&created__lt=2026-01-04T00:00:00Z',
    'description__icontains=p1',
    'client_reference_id=',
    'djstripe_id__gte=1',
    'livemode=false',
    'mode=payment&ordering=djstripe_created',
    'include=payment&limit=5',
    `payment_intent__isnull=true&ordering=id`,
    'count=estimated',
    'count=exact',
  ]) {
    let page = await call('GET', `${sessionsPath}?${filter}`);
    for (let more = 1; more < repeats && page.status === 200; more += 1)
      page = await call('GET', `${sessionsPath}?${filter}`);
    const isCounted = !filter.startsWith('count') || page.json?.count > 0;
    check(`list ?${filter.replaceAll(run, '…')}`, page.json?.results?.length > 0 && isCounted, page);
  }
  const none = await call('GET', `${sessionsPath}?created__isnull=true&id__startswith=cs_test_${run}`);
  check('list ?created__isnull=true', none.status === 200, none);
}

/** @param {Trial} trial */
async function checkAtOnce({ check, client: { call } }) {
  const pages = await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      return call('GET', `${sessionsPath}?limit=5&created__gt=2026-01-0${1 + (index % 3)}T00:00:00Z&ordering=created`);
    }),
  );
  const isWrong = (/** @type {import('../client.mjs').Answer} */ { json }) => json?.results?.length !== 5;
  check('40 lists at once', !pages.some(isWrong), pages.find(isWrong));
}
