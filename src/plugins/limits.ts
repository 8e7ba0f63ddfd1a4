import type { Server } from 'node:http';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { createKeyLookup } from './access.js';
import type { Refusal } from './metrics.js';

/** Limits on a single client, and on all clients together. */

/** Milliseconds for the headers of a request to arrive. */
const headersTimeout = 10_000;
/** Milliseconds without a byte in either direction before a connection is closed. */
const inactivityTimeout = 60_000;
/** Milliseconds. Longer than the usual idle timeout of load balancers, so that the balancer closes a connection first. */
const keepAliveTimeout = 72_000;

/** Returns Fastify's timeouts against clients that are slow on purpose. Node answers a late request with 408. */
export function clientTimeouts({ REQUEST_TIMEOUT_MS, DATABASE_STATEMENT_TIMEOUT_MS }: Config) {
  return {
    requestTimeout: REQUEST_TIMEOUT_MS,
    // No byte moves while a response is made either. It may wait for a database connection and then for its statement.
    connectionTimeout: Math.max(inactivityTimeout, REQUEST_TIMEOUT_MS, 3 * DATABASE_STATEMENT_TIMEOUT_MS),
    keepAliveTimeout,
    http: {
      headersTimeout: Math.min(headersTimeout, REQUEST_TIMEOUT_MS),
      connectionsCheckingInterval: Math.min(1000, REQUEST_TIMEOUT_MS),
    },
  } satisfies FastifyHttpOptions<Server>;
}

/** Milliseconds between two samples of the event loop. A shorter stall of the machine ends before a sample. */
const sampleInterval = 2000;

type RefusalListener = (reason: Refusal) => void;

/** Refuses requests of a scope while the event loop lags, so that requests in flight can finish. */
export async function shedLoad(scope: FastifyInstance, config: Config, onRefusal: RefusalListener): Promise<void> {
  if (config.MAX_EVENT_LOOP_DELAY_MS === 0) return;
  await scope.register(underPressure, {
    maxEventLoopDelay: config.MAX_EVENT_LOOP_DELAY_MS,
    sampleInterval,
    pressureHandler: () => {
      onRefusal('overloaded');
      throw new Problem('overloaded');
    },
  });
}

const minute = 60_000;

/**
 * Limits the rate of requests to a scope by key. Requests without a valid key are limited by address, which also limits
 * the guessing of keys. Each process counts separately. Call it before the access check.
 */
export async function limitRate(
  scope: FastifyInstance,
  config: Config,
  onRefusal: RefusalListener,
  holderOf = createKeyLookup(config),
): Promise<void> {
  if (config.RATE_LIMIT_PER_MINUTE === 0) return;
  await scope.register(rateLimit, {
    global: false,
    max: config.RATE_LIMIT_PER_MINUTE,
    timeWindow: minute,
    enableDraftSpec: true,
    keyGenerator: (request) => holderOf(request)?.name ?? normalizeIP(request.ip),
    onExceeded: () => onRefusal('rate-limited'),
    errorResponseBuilder: (_request, { ttl }) =>
      new Problem('too-many-requests', { headers: { 'retry-after': String(Math.ceil(ttl / 1000)) } }),
  });
  scope.addHook('onRequest', scope.rateLimit());
}
