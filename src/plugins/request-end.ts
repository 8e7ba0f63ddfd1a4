import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** nginx's status for a request whose client closed the connection. */
const clientLeft = 499;

type Listener = (request: FastifyRequest, reply: FastifyReply, status: number) => void;

declare module 'fastify' {
  interface FastifyInstance {
    /** Listeners that run after each request. */
    requestEnd?: Listener[];
  }
  interface FastifyRequest {
    /** Milliseconds to the first byte of a stream or a long poll, without the time that the client asked to wait. */
    answeredAfter?: number;
  }
}

/**
 * Calls a listener after each request: once the response is sent, or with the status 499 once the client has left.
 * Fastify's onResponse hook does not run for a client that has left (5.12).
 */
export function onRequestEnd(app: FastifyInstance, listener: Listener): void {
  if (app.requestEnd) {
    app.requestEnd.push(listener);
    return;
  }
  const listeners = [listener];
  app.decorate('requestEnd', listeners);
  // One hook for all listeners: it runs for each request.
  app.addHook('onRequest', (request, reply, next) => {
    const { raw } = reply;
    raw.on('close', () => {
      const status = raw.writableFinished ? raw.statusCode : clientLeft;
      for (const listen of listeners) listen(request, reply, status);
    });
    next();
  });
}
