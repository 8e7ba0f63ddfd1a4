import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { Logger } from 'pino';
import type { PrettyOptions } from 'pino-pretty';
import { onRequestEnd } from './request-end.js';

/** The form of Stripe's ids. A client may send any text in place of an id. */
const idPattern = /^\w{1,255}$/;

function sessionOf(params: unknown): string | undefined {
  const id = (params as { id?: string } | null)?.id;
  return id !== undefined && idPattern.test(id) ? id : undefined;
}

/** The format of the log on a terminal: one line for each entry, with the outcome of a request first. */
export const terminalFormat: PrettyOptions = {
  singleLine: true,
  messageFormat: '{msg}{if method} {method} {route} {status} {duration_ms} ms{end}',
  ignore: 'method,route,status,duration_ms',
};

declare module 'fastify' {
  interface FastifyRequest {
    /** The client's address. Set when LOG_CLIENT_ADDRESS is true. */
    clientAddress?: string;
  }
}

/**
 * Logs one line for each request: the template of its route, the session's id and the name of the key. It never logs the
 * query string, headers or body, which hold customer data.
 */
export default fastifyPlugin((app: FastifyInstance, { logsAddress }: { logsAddress: boolean }, done) => {
  if (!(app.log as Partial<Logger>).isLevelEnabled?.('info')) return done();
  if (logsAddress) {
    // Read the address at the start: a closed connection has none.
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
