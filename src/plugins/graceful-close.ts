import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Begins to leave: the service is unready, and serves what still comes, closing each connection after its answer.
     * Closing the service does this too.
     */
    drain(): void;
  }
}

/** Whether the service is about to stop. */
export interface Lifecycle {
  isDraining: boolean;
}

/**
 * Closes the connections that clients keep, as soon as what was in flight on them is answered: the server waits for
 * every connection to end, and a client may keep one for minutes.
 */
export default fastifyPlugin((app: FastifyInstance, { lifecycle }: { lifecycle: Lifecycle }, done) => {
  let isClosing = false;
  /** Connections without a request so far, as browsers open ahead. The server does not take them for idle. */
  const unused = new Set<Socket>();
  app.server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', ({ socket }) => unused.delete(socket));
  app.decorate('drain', () => {
    lifecycle.isDraining = true;
  });
  app.addHook('preClose', (closing) => {
    isClosing = true;
    app.drain();
    for (const socket of unused) if (socket.bytesRead === 0) socket.destroy();
    closing();
  });
  app.addHook('onRequest', (_request, reply, next) => {
    if (lifecycle.isDraining) reply.header('connection', 'close');
    next();
  });
  app.addHook('onResponse', (_request, _reply, responded) => {
    if (isClosing) setImmediate(() => app.server.closeIdleConnections());
    responded();
  });
  done();
});
