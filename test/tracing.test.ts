import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import supertest from 'supertest';
import { afterAll, expect, test } from 'vitest';
import { processDatabase } from './support/database.js';
import { parseLog, startProcess } from './support/process.js';
import { sessionBody, sessionsPath } from './support/service.js';

const { environment } = await processDatabase();
const source = fileURLToPath(new URL('../src/', import.meta.url));

/** The requests a fake collector received. Protobuf stores text verbatim, so the tests search the bytes. */
const received: { path: string; body: Buffer }[] = [];
const collector = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const isPacked = request.headers['content-encoding'] === 'gzip';
  received.push({ path: request.url ?? '', body: isPacked ? gunzipSync(body) : body });
  response.setHeader('content-type', 'application/x-protobuf').end();
});
collector.listen(0, '127.0.0.1');
await once(collector, 'listening');
afterAll(() => collector.close());
const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
const everything = () => Buffer.concat(received.map(({ body }) => body));

test("each request becomes a span of the caller's trace, without query or error text, sent before exit", async () => {
  const service = await startProcess({
    ...environment,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_SERVICE_NAME: 'sessions-of-the-test',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=a%20test',
    OTEL_BSP_SCHEDULE_DELAY: '60000',
  });
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const api = supertest(service.url);
  const { id, ...rest } = sessionBody({ customer_email: 'mArKeD@example.com' });
  await api
    .put(`${sessionsPath}/${id}`)
    .set('traceparent', `00-${traceId}-00f067aa0ba902b7-01`)
    .send({ id, ...rest })
    .expect(201);
  await api.get(`${sessionsPath}?customer_email=mArKeD@example.com`).expect(200);
  await api.get(`${sessionsPath}?mArKeD=1`).expect(400);
  await api.post(sessionsPath).send({ mArKeD: 1 }).expect(400);
  await api.get('/health/ready').expect(200);
  await api.get('/nothing?mArKeD').expect(404);
  service.kill('SIGTERM');
  expect(await service.exited).toMatchObject({ code: 0, stderr: '' });
  expect(received.map(({ path }) => path)).toEqual(['/v1/traces']);
  const spans = everything();
  for (const text of [
    ...['sessions-of-the-test', 'a test', `PUT ${sessionsPath}/:id`, `GET ${sessionsPath}`, `POST ${sessionsPath}`],
    ...['http.route', 'url.path', `${sessionsPath}/${id}`, '/nothing'],
  ]) {
    expect(spans.includes(text), text).toBe(true);
  }
  expect(spans.includes(Buffer.from(traceId, 'hex'))).toBe(true);
  for (const text of ['mArKeD', '/health', 'example.com']) expect(spans.includes(text), text).toBe(false);
});

test('a collector that cannot be reached is logged and delays neither requests nor exit', async () => {
  const service = await startProcess({
    ...environment,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/v1/traces',
  });
  await supertest(service.url).get(sessionsPath).expect(200);
  const began = Date.now();
  service.kill('SIGTERM');
  const { code, stdout } = await service.exited;
  expect(code).toBe(0);
  expect(Date.now() - began).toBeLessThan(5000);
  expect(parseLog(stdout).map(({ msg }) => msg)).toContain('traces are not sent');
});

test('OTEL_SDK_DISABLED sends no trace', async () => {
  received.length = 0;
  const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'TRUE' };
  const service = await startProcess({ ...environment, ...settings });
  await supertest(service.url).get(sessionsPath).expect(200);
  service.kill('SIGTERM');
  expect((await service.exited).code).toBe(0);
  expect(received).toEqual([]);
});

test('without tracing no OpenTelemetry module is loaded', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const text = (path: string) => readFileSync(`${source}${path}`, 'utf8');
  const users = files.filter((path) => /from '(@opentelemetry|@fastify\/otel)/.test(text(path)));
  expect(users).toEqual([expect.stringMatching(/^plugins.tracing\.ts$/)]);
  expect(files.filter((path) => /^import .*tracing\.js'/m.test(text(path)))).toEqual([]);
  expect(text('server.ts')).toContain("await import('./plugins/tracing.js')");
});
