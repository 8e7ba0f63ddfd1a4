import { expect, test } from 'vitest';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';

/**
 * Walks lists concurrently in every order, with and without filters, with changing page sizes, forwards and backwards,
 * while writes move and delete the sessions in between. sessions/cursors.test.ts has single walks.
 */

const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, MAX_EVENT_LOOP_DELAY_MS: '0' };
const { api, url, database } = await startService({ environment });
// Reads come from a second replica.
const reader = await startService({ environment, database });

const standingCount = 48;
const moment = (index: number) => new Date(Date.UTC(2026, 0, 1, 0, index % 20)).toISOString();
/** Filters that every standing session matches, and many moving ones. */
const filters = ['customer=cus_1', 'metadata[kind]=order'];
const fields = { customer: 'cus_1', metadata: { kind: 'order' } };
const orderings = ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'].flatMap((name) => [
  name,
  `-${name}`,
]);

interface Page {
  next: string | null;
  previous: string | null;
  results: { id: string }[];
}

async function page(address: string): Promise<Page> {
  const response = await fetch(address);
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
}

/** Follows links from an address to the end, each page with another limit. Returns the ids seen. */
async function walk(address: string, direction: 'next' | 'previous'): Promise<{ ids: string[]; last: Page }> {
  const ids: string[] = [];
  for (let next = new URL(address), step = 1; ; step += 1) {
    next.searchParams.set('limit', String(3 + ((step * 5) % 11)));
    const current = await page(next.href);
    const found = current.results.map(({ id }) => id);
    ids.push(...(direction === 'next' ? found : found.reverse()));
    const link = current[direction];
    if (link === null) return { ids, last: current };
    next = new URL(link);
  }
}

/** Creates, moves and deletes sessions between the standing ones, by API and events, until stopped. */
function churn(worker: number): () => Promise<number> {
  let isStopped = false;
  let writes = 0;
  const work = async () => {
    const idOf = (turn: number) => `cs_${String((turn * 7) % standingCount).padStart(3, '0')}_${worker}_${turn}`;
    for (let turn = 0; !isStopped; turn += 1) {
      const id = idOf(turn);
      const session = rawSession({ id, created: 1_767_225_600 + 60 * (turn % 20), ...fields, payment_status: 'paid' });
      if (turn % 2 === 0) await deliver(api, rawEvent(session, { id: `evt_${id}` })).expect(200);
      else
        await api
          .put(`${sessionsPath}/${id}`)
          .send(sessionBody({ ...fields, id, created: null }))
          .expect(201);
      await api.patch(`${sessionsPath}/${id}`).send({ created: moment(turn * 3), customer: turn % 3 ? 'cus_1' : null });
      if (turn > 4) await api.delete(`${sessionsPath}/${idOf(turn - 5)}`).expect(204);
      writes += 3;
    }
  };
  const done = work();
  return async () => {
    isStopped = true;
    await done;
    return writes;
  };
}

test('concurrent walks during writes see every standing session once and in order', async () => {
  const standing = new Set<string>();
  for (let index = 0; index < standingCount; index += 1) {
    const id = `cs_${String((index * 17) % standingCount).padStart(3, '0')}`;
    const created = index % 4 === 0 ? null : moment(index);
    await api
      .post(sessionsPath)
      .send(sessionBody({ ...fields, id, created }))
      .expect(201);
    standing.add(id);
  }
  const isStanding = (id: string) => standing.has(id);
  const expected = new Map<string, string[]>();
  for (const ordering of orderings) {
    const { results } = await page(`${url}${sessionsPath}?limit=1000&ordering=${ordering}`);
    expected.set(
      ordering,
      results.map(({ id }) => id),
    );
  }
  const stops = [0, 1, 2].map(churn);
  try {
    await Promise.all(
      orderings.flatMap((ordering, index) =>
        ['', filters[index % filters.length]].map(async (filter) => {
          const forward = await walk(`${reader.url}${sessionsPath}?ordering=${ordering}&${filter}`, 'next');
          expect(forward.ids.filter(isStanding), `${ordering} ${filter}`).toEqual(expected.get(ordering));
          const tail = forward.last.results.map(({ id }) => id).filter(isStanding);
          const back = forward.last.previous ? await walk(forward.last.previous, 'previous') : { ids: [] };
          const all = [...back.ids.reverse(), ...tail].filter(isStanding);
          expect(all, `${ordering} ${filter} backwards`).toEqual(expected.get(ordering));
        }),
      ),
    );
  } finally {
    const writes = await Promise.all(stops.map((stop) => stop()));
    expect(Math.min(...writes)).toBeGreaterThan(2);
  }
});
