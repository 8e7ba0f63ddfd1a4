import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Logger } from 'pino';
import { onRequestEnd } from './request-end.js';

/** As Stripe's ids look. What is sent in the place of one may be anything. */
const likeAnId = /^\w{1,255}$/;

function sessionOf(params: unknown): string | undefined {
  const id = (params as { id?: string } | null)?.id;
  return id !== undefined && likeAnId.test(id) ? id : undefined;
}

/**
 * One line per request: the template of its route and the session's id, never its query string, headers or
 * body. Those hold customer data.
 */
export default fastifyPlugin((app: FastifyInstance, _options, done) => {
  if (!(app.log as Partial<Logger>).isLevelEnabled?.('info')) return done();
  onRequestEnd(app, (request, reply, status) => {
    app.log.info(
      {
        request_id: request.id,
        method: request.method,
        route: request.routeOptions.url,
        session: sessionOf(request.params),
        status,
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
      },
      'request',
    );
  });
  return done();
});
