import type { AddressInfo } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import supertest from 'supertest';
import { afterAll, expect } from 'vitest';
import { buildApp } from '../../src/app.js';
import { parseConfig } from '../../src/config.js';
import type { Database } from '../../src/database/engine/database.js';
import { testDatabase } from './database.js';

export interface Service {
  app: FastifyInstance;
  /** Sends requests to the listening service. */
  api: supertest.Agent;
  /** `http://127.0.0.1:port` */
  url: string;
  database: Database;
}

interface Options {
  /** Environment variables, as an operator would set them. */
  environment?: Record<string, string>;
  database?: Database;
  logger?: FastifyBaseLogger;
}

/**
 * Starts the production app on a port of its own and, unless given one, a database of its own. Stops it after the file.
 */
export async function startService({ environment = {}, logger, ...options }: Options = {}): Promise<Service> {
  const database = options.database ?? (await testDatabase());
  // The test shares the service's event loop. Its delays must not make the service shed load.
  const config = parseConfig({ MAX_EVENT_LOOP_DELAY_MS: '0', ...environment });
  const app = await buildApp(config, { database, ...(logger && { logger }) });
  await app.listen({ host: '127.0.0.1', port: 0 });
  afterAll(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return { app, api: supertest(url) as unknown as supertest.Agent, url, database };
}

export const sessionsPath = '/api/checkout-sessions';

let sessionNumber = 0;

/** Builds the body of a valid request. Its id is unique within the test file. */
export function sessionBody(fields: Record<string, unknown> = {}): Record<string, unknown> & { id: string } {
  sessionNumber += 1;
  return {
    id: `cs_test_${String(sessionNumber).padStart(6, '0')}`,
    billing_address_collection: 'auto',
    mode: 'payment',
    submit_type: 'pay',
    payment_method_types: { '0': 'card' },
    ...fields,
  };
}

/** Expects a problem document with this code, and returns its body. */
export function expectProblem(response: supertest.Response, status: number, code: string): supertest.Response['body'] {
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(response.body).toMatchObject({ type: `urn:problem:${code}`, status });
  expect(response.status).toBe(status);
  expect(response.body.title).toEqual(expect.any(String));
  expect(response.body.request_id).toMatch(/^[0-9a-f-]{36}$/);
  return response.body;
}
