import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** nginx's own, for what nobody waited for. */
const clientLeft = 499;

type Work = (request: FastifyRequest, reply: FastifyReply, status: number) => void;

declare module 'fastify' {
  interface FastifyInstance {
    /** What is done after each request. */
    requestEnd?: Work[];
  }
  interface FastifyRequest {
    /** Milliseconds to the answer's first byte, without the time that the client asked to wait; of an answer that streams. */
    answeredAfter?: number;
  }
}

/**
 * Does some work after each request: once it is answered, or its client has left before that, which is the status 499.
 * Fastify's onResponse does not run for the latter (5.12).
 */
export function onRequestEnd(app: FastifyInstance, work: Work): void {
  if (app.requestEnd) {
    app.requestEnd.push(work);
    return;
  }
  const all = [work];
  app.decorate('requestEnd', all);
  // One listener for all: requests are many.
  app.addHook('onRequest', (request, reply, next) => {
    const { raw } = reply;
    raw.on('close', () => {
      const status = raw.writableFinished ? raw.statusCode : clientLeft;
      for (const one of all) one(request, reply, status);
    });
    next();
  });
}
