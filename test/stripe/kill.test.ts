import { expect, test } from 'vitest';
import { processDatabase } from '../support/database.js';
import { startProcess } from '../support/process.js';
import { rawEvent, rawSession, signatureOf, webhookSecret } from '../support/stripe.js';

const { environment, use } = await processDatabase();

test('kill -9 during deliveries loses no acknowledged event and leaves none half stored', async () => {
  const service = await startProcess({ ...environment, STRIPE_WEBHOOK_SECRETS: webhookSecret });
  const acknowledged: string[] = [];
  const sends = Array.from({ length: 400 }, async (_, number) => {
    const id = `cs_test_killed_${number % 100}`;
    const event = rawEvent(rawSession({ id }), { created: 1000 + number });
    const payload = JSON.stringify(event);
    const response = await fetch(`${service.url}/webhooks/stripe`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'stripe-signature': signatureOf(payload) },
      body: payload,
    }).catch(() => undefined);
    if (response?.status !== 200) return;
    acknowledged.push(event.id);
    if (acknowledged.length === 40) service.kill('SIGKILL');
  });
  await Promise.all(sends);
  await service.exited;
  // The kill must come after some deliveries and before the last.
  expect(acknowledged.length).toBeGreaterThanOrEqual(40);
  expect(acknowledged.length).toBeLessThan(400);

  const [events, sessions] = await use((database) =>
    Promise.all([
      database.query<{ id: string; session: string | null }>({
        text: `SELECT e.id, s.id AS session FROM stripe_event AS e LEFT JOIN checkout_session AS s ON s.id = e.session_id`,
        values: [],
      }),
      database.query<{ id: string; logged: boolean }>({
        text: `SELECT s.id, EXISTS (
            SELECT FROM stripe_event AS e
            WHERE e.session_id = s.id AND e.id = s.stripe_event_id AND e.outcome = 'applied'
          ) AS logged FROM checkout_session AS s`,
        values: [],
      }),
    ]),
  );
  const logged = new Set(events.map(({ id }) => id));
  expect(acknowledged.filter((id) => !logged.has(id))).toEqual([]);
  expect(events.filter(({ session }) => session === null)).toEqual([]);
  expect(sessions.filter((session) => !session.logged)).toEqual([]);
});
