import { expect, test } from 'vitest';
import { onPostgres, processDatabase } from './support/database.js';
import { startProcess } from './support/process.js';
import { startRoundRobin } from './support/round-robin.js';
import { sessionBody, sessionsPath } from './support/service.js';
import { rawEvent, rawSession, signatureOf, webhookSecret } from './support/stripe.js';

const { environment } = await processDatabase();
const settings = { ...environment, STRIPE_WEBHOOK_SECRETS: webhookSecret, SHUTDOWN_DRAIN_MS: '400' };

interface Load {
  /** Ids whose creation was acknowledged. */
  readonly acknowledged: string[];
  readonly failures: string[];
  /** Number of successful requests. */
  readonly answered: () => number;
  /** Stops the load after the requests in flight. */
  stop(): Promise<void>;
}

/** Starts clients that each send one request after another over kept connections. */
function startLoad(url: string, clients: number): Load {
  const acknowledged: string[] = [];
  const failures: string[] = [];
  let answered = 0;
  let isRunning = true;

  async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const payload = body && JSON.stringify(body);
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(payload && { 'content-type': 'application/json' }), ...headers },
        ...(payload && { body: payload }),
      });
      const text = await response.text();
      if (response.ok) answered += 1;
      else failures.push(`${method} ${path}: ${response.status} ${text}`);
      return response.ok;
    } catch (error) {
      failures.push(`${method} ${path}: ${(error as Error).cause ?? error}`);
      return false;
    }
  }

  async function client(): Promise<void> {
    while (isRunning) {
      const body = sessionBody();
      const path = `${sessionsPath}/${body.id}`;
      if (!(await ask('POST', sessionsPath, body))) continue;
      acknowledged.push(body.id);
      await ask('PATCH', path, { locale: 'de' });
      await ask('GET', path);
      await ask('GET', `${sessionsPath}?limit=5`);
      const event = rawEvent(rawSession({ id: body.id }));
      await ask('POST', '/webhooks/stripe', event, { 'stripe-signature': signatureOf(JSON.stringify(event)) });
    }
  }

  const running = Array.from({ length: clients }, client);
  return {
    acknowledged,
    failures,
    answered: () => answered,
    async stop() {
      isRunning = false;
      await Promise.all(running);
    },
  };
}

/** Expects every acknowledged session to exist. */
async function expectStored(url: string, ids: readonly string[]): Promise<void> {
  expect(ids.length).toBeGreaterThan(0);
  for (const id of ids) expect((await fetch(`${url}${sessionsPath}/${id}`)).status).toBe(200);
}

if (onPostgres) {
  test('a rolling restart of two replicas under load fails no request', async () => {
    const replicas = [await startProcess(settings), await startProcess(settings)];
    const { url, backends } = await startRoundRobin(replicas.map((replica) => replica.url));
    const load = startLoad(url, 6);
    for (const [index, backend] of backends.entries()) {
      const [leaving, before] = [replicas[index], load.answered()];
      await expect.poll(load.answered).toBeGreaterThan(before + 100);
      leaving?.kill('SIGTERM');
      expect(await leaving?.exited).toMatchObject({ code: 0, signal: null, stderr: '' });
      backend.url = (await startProcess(settings)).url;
      await expect.poll(() => backend.isReady).toBe(true);
    }
    const before = load.answered();
    await expect.poll(load.answered).toBeGreaterThan(before + 100);
    await load.stop();
    expect(load.failures).toEqual([]);
    await expectStored(url, load.acknowledged);
  });
} else {
  test('a restart under load loses no acknowledged session', async () => {
    const leaving = await startProcess(settings);
    const load = startLoad(leaving.url, 3);
    await expect.poll(load.answered).toBeGreaterThan(50);
    leaving.kill('SIGTERM');
    expect(await leaving.exited).toMatchObject({ code: 0, signal: null, stderr: '' });
    await load.stop();
    const { url } = await startProcess(settings);
    await expectStored(url, load.acknowledged);
  });
}
