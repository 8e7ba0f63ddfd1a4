import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const options = {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  exposedHeaders: ['ETag', 'Location', 'Retry-After', 'X-Request-Id'],
  /** Seconds for which a browser need not ask again. */
  maxAge: 600,
};

/**
 * Lets web pages of the listed origins use the API; of all with `*`. Their preflights are answered before a key is
 * asked for, which a browser does not send with them. What is no preflight of theirs goes on as if this were not here.
 *
 * Call it before the methods are collected: it adds a route of its own.
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
