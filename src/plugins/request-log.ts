import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/**
 * One line per request: the template of its route and the session's id, never its query string, headers or
 * body. Those hold customer data.
 */
export default fastifyPlugin((app: FastifyInstance, _options, done) => {
  app.addHook('onResponse', (request, reply, finished) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url,
        session: (request.params as { id?: string } | null)?.id,
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
      },
      'request',
    );
    finished();
  });
  done();
});
