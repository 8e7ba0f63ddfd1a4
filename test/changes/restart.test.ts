import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { onPostgres, processDatabase } from '../support/database.js';
import { type ServiceProcess, startProcess } from '../support/process.js';
import { sessionBody, sessionsPath } from '../support/service.js';
import { currentCursor, logNumberOf, pollConsumer, streamConsumer } from './consumers.js';

const { environment, use } = await processDatabase();

/** Returns the log numbers after a cursor. */
async function numbersAfter(cursor: string): Promise<number[]> {
  return use(async (database) => {
    const rows = await database.query<{ seq: number }>({
      text: 'SELECT seq::int AS seq FROM checkout_session_change WHERE seq > $1 ORDER BY seq',
      values: [logNumberOf(cursor)],
    });
    return rows.map(({ seq }) => seq);
  });
}

/** Starts clients that each create and patch one session after another. A refused or cut request is skipped. */
function startLoad(urls: () => readonly string[], clients: number) {
  let acknowledged = 0;
  let isRunning = true;
  async function client(number: number): Promise<void> {
    while (isRunning) {
      const all = urls();
      const url = all[number % all.length] as string;
      const body = sessionBody();
      const options = { headers: { 'content-type': 'application/json' } };
      try {
        await fetch(`${url}${sessionsPath}`, { ...options, method: 'POST', body: JSON.stringify(body) });
        const path = `${url}${sessionsPath}/${body.id}`;
        const response = await fetch(path, { ...options, method: 'PATCH', body: '{"locale":"de"}' });
        if (response.ok) acknowledged += 1;
      } catch {
        await setTimeout(10);
      }
    }
  }
  const running = Array.from({ length: clients }, (_, number) => client(number));
  return {
    acknowledged: () => acknowledged,
    async stop() {
      isRunning = false;
      await Promise.all(running);
    },
  };
}

const replicas = onPostgres ? 2 : 1;

test('consumers see every change once and in order through restarts under load and one kill -9', async () => {
  const processes: ServiceProcess[] = [];
  for (let number = 0; number < replicas; number += 1) processes.push(await startProcess(environment));
  const urlOf = (number: number) => () => processes[number % replicas]?.url ?? '';
  const start = await currentCursor(urlOf(0)());
  const load = startLoad(() => processes.map(({ url }) => url), 4);
  const consumers = [streamConsumer(urlOf(0), start), pollConsumer(urlOf(1), start)];
  for (let restart = 0; restart < 6; restart += 1) {
    const before = load.acknowledged();
    await expect.poll(load.acknowledged, { timeout: 20_000 }).toBeGreaterThan(before + 20);
    const index = restart % replicas;
    const leaving = processes[index] as ServiceProcess;
    leaving.kill(restart === 3 ? 'SIGKILL' : 'SIGTERM');
    const { code } = await leaving.exited;
    if (restart !== 3) expect(code).toBe(0);
    processes[index] = await startProcess(environment);
  }
  await load.stop();
  const end = await currentCursor(urlOf(0)());
  for (const consumer of consumers) {
    await expect.poll(consumer.cursor, { timeout: 20_000 }).toBe(end);
    await consumer.stop();
    expect(consumer.interruptions.filter((text) => /^Error: (4|500)/.test(text))).toEqual([]);
  }
  for (const { kill, exited } of processes) {
    kill('SIGTERM');
    await exited;
  }
  const numbers = await numbersAfter(start);
  expect(numbers.length).toBeGreaterThan(120);
  for (const { received } of consumers) expect(received.map(({ id }) => logNumberOf(id))).toEqual(numbers);
}, 120_000);

const sockets: Socket[] = [];
afterAll(() => {
  for (const socket of sockets) socket.destroy();
});

test('on SIGTERM a process with 500 streams and long polls exits with 0 within five seconds', async () => {
  const service = await startProcess(environment);
  const { port, hostname } = new URL(service.url);
  await fillLog(service);
  const request = (accept: string, query: string) =>
    `GET /api/changes?${query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\n\r\n`;
  let answered = 0;
  for (let number = 0; number < 500; number += 1) {
    const socket = connect({ port: Number(port), host: hostname });
    sockets.push(socket);
    socket.on('error', () => {});
    if (number % 50 === 0) {
      // This client never reads. The log holds more than its socket buffers.
      socket.pause();
      socket.write(request('text/event-stream', ''));
      continue;
    }
    const isPoll = number % 5 === 0;
    socket.once('data', () => {
      answered += 1;
    });
    socket.resume();
    socket.write(request(isPoll ? 'application/json' : 'text/event-stream', `cursor=now${isPoll ? '&wait=50' : ''}`));
    if (number % 100 === 0) await once(socket, 'connect');
  }
  const inFlight = async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Number(/^http_requests_in_flight (\d+)$/m.exec(text)?.[1]);
  };
  // 500 clients and this metrics request.
  await expect.poll(inFlight, { timeout: 20_000 }).toBe(501);
  await expect.poll(() => answered, { timeout: 20_000 }).toBe(400);
  const began = performance.now();
  service.kill('SIGTERM');
  expect(await service.exited).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(performance.now() - began).toBeLessThan(5000);
  expect(answered).toBe(490);
}, 60_000);

/** Fills the log through the API, because the service process owns the embedded database. */
async function fillLog({ url }: ServiceProcess): Promise<void> {
  const metadata = { text: 'x'.repeat(20_000) };
  for (let number = 0; number < 100; number += 1) {
    const body = JSON.stringify(sessionBody({ metadata }));
    await fetch(`${url}${sessionsPath}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  }
}
