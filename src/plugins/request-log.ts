import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Logger } from 'pino';
import type { PrettyOptions } from 'pino-pretty';
import { onRequestEnd } from './request-end.js';

/** As Stripe's ids look. What is sent in the place of one may be anything. */
const likeAnId = /^\w{1,255}$/;

function sessionOf(params: unknown): string | undefined {
  const id = (params as { id?: string } | null)?.id;
  return id !== undefined && likeAnId.test(id) ? id : undefined;
}

/** How a terminal shows the log: each entry on one line, that of a request with what matters first. */
export const terminalFormat: PrettyOptions = {
  singleLine: true,
  messageFormat: '{msg}{if method} {method} {route} {status} {duration_ms} ms{end}',
  ignore: 'method,route,status,duration_ms',
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the request came from, where the log is to say so. */
    clientAddress?: string;
  }
}

/**
 * One line per request: the template of its route, the session's id, the name of the key; never its query string,
 * headers or body. Those hold customer data.
 */
export default fastifyPlugin((app: FastifyInstance, { logsAddress }: { logsAddress: boolean }, done) => {
  if (!(app.log as Partial<Logger>).isLevelEnabled?.('info')) return done();
  if (logsAddress) {
    // At the beginning: a client that has left has no address any more.
    app.addHook('onRequest', (request, _reply, next) => {
      request.clientAddress = request.ip;
      next();
    });
  }
  onRequestEnd(app, (request, reply, status) => {
    app.log.info(
      {
        request_id: request.id,
        method: request.method,
        route: request.routeOptions.url,
        session: sessionOf(request.params),
        key: request.keyHolder?.name,
        client: request.clientAddress,
        status,
        duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
      },
      'request',
    );
  });
  return done();
});
