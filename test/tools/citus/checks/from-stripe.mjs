/** Checks of the work that asks Stripe: refresh, backfill, catch-up. */
import { lineItems, stripeSession } from '../stripe-session.mjs';

/** @param {import('../checks.mjs').Trial} trial */
export async function checkFromStripe({ check, client: { session }, command, stripe, run, idOf }) {
  const ids = Array.from({ length: 20 }, (_, index) => idOf(`at-stripe${index}`));
  stripe.sessions.clear();
  for (const id of ids)
    stripe.sessions.set(id, stripeSession(id, { line_items: lineItems(id), customer: `cus_at${run}` }));

  const [first = '', second = '', third = ''] = ids;
  const refreshed = await session('POST', `${first}/refresh`);
  check('refresh', refreshed.status === 200 && refreshed.json.customer === `cus_at${run}`, refreshed);
  const unknown = await session('POST', `${idOf('nowhere')}/refresh`);
  check('refresh of a session that neither the mirror nor Stripe has', unknown.status === 404, unknown);

  const compared = await command('backfill', '--dry-run');
  check(
    'backfill --dry-run names a missing session',
    compared.code === 1 && compared.output.includes(second),
    compared,
  );
  const filled = await command('backfill');
  const items = await session('GET', third);
  check('backfill', filled.code === 0 && items.json?.display_items !== null, filled);
  await session('DELETE', second);
  const again = await command('backfill');
  const gone = await session('GET', second);
  check('backfill leaves a deleted session deleted', again.code === 0 && gone.status === 404, again);
  const differing = await command('backfill', '--dry-run');
  check('backfill --dry-run names the deleted session', /deleted/.test(differing.output), differing);
  stripe.sessions.delete(second);
  const same = await command('backfill', '--dry-run');
  check('backfill --dry-run finds no other difference', same.code === 0, same);

  const created = Math.floor(Date.now() / 1000);
  const missed = idOf('missed');
  const event = { object: 'event', livemode: false, api_version: '2026-07-29', type: 'checkout.session.completed' };
  stripe.events.push({ ...event, id: `evt_${run}_missed`, created, data: { object: stripeSession(missed) } });
  const caughtUp = await command('catch-up');
  const found = await session('GET', missed);
  check('catch-up', caughtUp.code === 0 && found.status === 200, caughtUp);
  const caughtUpAgain = await command('catch-up');
  check('catch-up again', caughtUpAgain.code === 0, caughtUpAgain);
}
