import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { openPostgres } from '../src/database/engine/postgres.js';
import { postgresDatabase } from './support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from './support/stripe.js';
import { startTcpProxy } from './support/tcp-proxy.js';

const template = inject('template');
/** Milliseconds. */
const statementTimeout = 500;

if (template.kind === 'embedded') {
  test('the embedded database runs in this process and is always ready', async () => {
    const { api } = await startService();
    await api.get('/health/ready').expect(200);
  });
} else {
  const { url, database: direct } = await postgresDatabase(template.url, template.name);
  const proxy = await startTcpProxy(url);
  const pool = { poolSize: 3, preparedStatements: true };
  const database = openPostgres({ url: proxy.url, statementTimeout, ...pool });
  const { api } = await startService({ database, environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
  afterAll(() => database.close());

  const stored = sessionBody();
  const path = `${sessionsPath}/${stored.id}`;

  /** Expects every route that needs the database to answer 503 in time, and the others to work. */
  async function expectAbsence(): Promise<void> {
    const began = Date.now();
    const responses = await Promise.all([
      ...[api.get(path), api.get(sessionsPath), api.post(sessionsPath).send(sessionBody()), api.get('/health/ready')],
      ...[api.patch(path).send({ locale: 'de' }), deliver(api, rawEvent(rawSession({ id: 'cs_test_outage' })))],
    ]);
    expect(Date.now() - began).toBeLessThan(4 * (statementTimeout + 1000));
    for (const response of responses) {
      expectProblem(response, 503, 'database-unavailable');
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    }
    await api.get('/health/live').expect(200);
    const { text } = await api.get('/metrics').expect(200);
    expect(text).toContain('stripe_last_event_age_seconds Nan');
  }

  /** Expects the service and its pool to recover without help. */
  async function expectPresence(): Promise<void> {
    await expect.poll(() => api.get('/health/ready').then(({ status }) => status)).toBe(200);
    await api.get(path).expect(200);
    const created = await Promise.all(
      Array.from({ length: 12 }, () => api.post(sessionsPath).send(sessionBody()).expect(201)),
    );
    expect(created).toHaveLength(12);
    await expect.poll(() => database.pool?.()).toMatchObject({ waiting: 0 });
    expect(database.pool?.().size).toBeLessThanOrEqual(3);
  }

  describe('the database', () => {
    test('that is down gives 503 in time and is used again once it is back', async () => {
      await api.post(sessionsPath).send(stored).expect(201);
      await proxy.refuse();
      await expectAbsence();
      await proxy.open();
      await expectPresence();
    });

    test('that stops answering gives 503 in time and is used again once it is back', async () => {
      proxy.silence();
      await expectAbsence();
      await proxy.open();
      await expectPresence();
    });

    test('that stops answering is noticed on connections idle for two seconds', async () => {
      await Promise.all([api.get(path).expect(200), api.get('/api/enums').expect(200)]);
      await setTimeout(statementTimeout + 1500);
      proxy.silence();
      await expectAbsence();
      await proxy.open();
      await expectPresence();
    });

    test('that stops answering fails a transaction, even one that paused', async () => {
      const ping = { text: 'SELECT 1', values: [] };
      const paused = database.transaction(async (query) => {
        await query(ping);
        await setTimeout(statementTimeout + 1500);
        await query(ping);
        proxy.silence();
        return query(ping);
      });
      await expect(paused).rejects.toMatchObject({ code: 'ETIMEDOUT' });
      await proxy.open();
      await expectPresence();
    });

    test('that closes every connection gets new ones', async () => {
      await direct.query({
        text: `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()`,
        values: [],
      });
      await expectPresence();
    });

    test('that is replaced by another without the migrations makes the service not ready', async () => {
      await api.get('/health/ready').expect(200);
      await direct.query({ text: 'ALTER TABLE checkout_session RENAME TO lost', values: [] });
      expect((await api.get('/health/ready')).status).toBeGreaterThanOrEqual(500);
      await direct.query({ text: 'ALTER TABLE lost RENAME TO checkout_session', values: [] });
      await direct.query({ text: 'UPDATE _prisma_migrations SET finished_at = NULL', values: [] });
      const response = await api.get('/health/ready');
      expect(expectProblem(response, 503, 'database-unavailable').detail).toBe('The database lacks migrations.');
      await direct.query({ text: 'UPDATE _prisma_migrations SET finished_at = started_at', values: [] });
      await api.get('/health/ready').expect(200);
    });
  });
}
