import type { Server } from 'node:http';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { keyHolder } from './access.js';
import type { Refusal } from './metrics.js';

/** What one client, or all together, may ask of the service. */

/** Milliseconds: for the headers alone, and for a connection on which nothing moves in either direction. */
const headersTimeout = 10_000;
const silence = 60_000;
/** Longer than the idle timeout of the usual load balancers, so that theirs ends a connection first. */
const keepAliveTimeout = 72_000;

/** Fastify's options against clients that are slow on purpose. Node answers a request that is late with 408. */
export function clientTimeouts({ REQUEST_TIMEOUT_MS, DATABASE_STATEMENT_TIMEOUT_MS }: Config) {
  return {
    requestTimeout: REQUEST_TIMEOUT_MS,
    // While an answer is made nothing moves either, and it may wait for a connection and then for its statement.
    connectionTimeout: Math.max(silence, REQUEST_TIMEOUT_MS, 3 * DATABASE_STATEMENT_TIMEOUT_MS),
    keepAliveTimeout,
    http: {
      headersTimeout: Math.min(headersTimeout, REQUEST_TIMEOUT_MS),
      connectionsCheckingInterval: Math.min(1000, REQUEST_TIMEOUT_MS),
    },
  } satisfies FastifyHttpOptions<Server>;
}

/** Milliseconds between two looks at the event loop. A stall of the machine that is shorter is over before it is seen. */
const sampleInterval = 2000;

type RefusalListener = (reason: Refusal) => void;

/** Turns requests of a scope away while the event loop lags, so that those under way are finished. */
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
 * Limits the requests to a scope, by key; those without a key that is known by address, so that keys cannot be guessed
 * faster. Each process counts by itself. Call it before access is checked.
 */
export async function limitRate(
  scope: FastifyInstance,
  config: Config,
  onRefusal: RefusalListener,
  holderOf = keyHolder(config),
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
