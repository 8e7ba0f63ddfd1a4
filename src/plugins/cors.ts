import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const options = {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  exposedHeaders: ['ETag', 'Location', 'Retry-After', 'X-Request-Id'],
  /** Seconds that a browser may cache a preflight's response. */
  maxAge: 600,
};

/**
 * Lets web pages of the listed origins use the API; of every origin with `*`. It answers preflights before the access
 * check, because a browser sends them without a key. It passes all other requests on.
 *
 * Call it before `collectMethods`: it adds a route.
 */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  const allowsAll = origins.includes('*');
  await app.register(cors, {
    delegator: ({ headers }, done) => {
      const { origin } = headers;
      const isAllowed = origin !== undefined && (allowsAll || origins.includes(origin));
      const preflight = headers['access-control-request-method'] !== undefined;
      done(null, { ...options, origin: isAllowed && (allowsAll ? '*' : origin), preflight });
    },
  });
}
