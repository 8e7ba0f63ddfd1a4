import pino from 'pino';
import { expect, test } from 'vitest';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { testDatabase } from '../support/database.js';
import { rawEvent, rawSession } from '../support/stripe.js';

const database = await testDatabase();

/** Returns an ingest and the lines it logs. */
function ingestWith(STRIPE_LIVEMODE: string) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { ingest: createIngest(mirrorStore(database), { STRIPE_LIVEMODE }, log), lines };
}

test('replaced values are logged by column and reason, never by value, and counted', async () => {
  const { ingest, lines } = ingestWith('both');
  const locale = 'x'.repeat(300);
  await ingest.event(rawEvent(rawSession({ id: 'cs_test_1', submit_type: 'subscribe', locale })));
  await ingest.snapshots([{ object: rawSession({ id: 'cs_test_2', submit_type: 'subscribe' }), second: 1 }]);
  await ingest.event(rawEvent(rawSession({ id: 'cs_test_3' })));
  expect(ingest.counts).toEqual({ projected: 2, ignored: 0 });
  expect(lines.map(({ session, projections, count }) => ({ session, projections, count }))).toEqual([
    {
      session: 'cs_test_1',
      projections: [
        { column: 'submit_type', reason: 'unknown enum value' },
        { column: 'locale', reason: 'too long' },
      ],
      count: 1,
    },
    { session: 'cs_test_2', projections: [{ column: 'submit_type', reason: 'unknown enum value' }], count: 2 },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/subscribe|xxx/);
});

test('events and snapshots of other types, the other mode or an oversized id are counted as ignored', async () => {
  const { ingest } = ingestWith('live');
  const live = { livemode: true };
  await ingest.event(rawEvent(rawSession({ id: 'cs_live_1' }), { type: 'customer.created', ...live }));
  await ingest.event(rawEvent(rawSession({ id: 'cs_test_4' })));
  await ingest.event(rawEvent(rawSession({ id: 'x'.repeat(256) }), live));
  await ingest.snapshot({ object: rawSession({ id: 'cs_test_5' }), second: 1 });
  const [one, other] = await ingest.snapshots([
    { object: { object: 'customer', id: 'cus_1' }, second: 1 },
    { object: rawSession({ id: 'cs_live_2', livemode: true }), second: 1 },
  ]);
  expect([one?.outcome, other?.outcome]).toEqual(['ignored', 'applied']);
  expect(ingest.counts).toEqual({ projected: 0, ignored: 5 });
});
