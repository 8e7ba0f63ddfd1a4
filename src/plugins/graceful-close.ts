import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Starts to drain: the service reports unready, still serves requests, and closes each connection after its response.
     * Closing the service drains it too.
     */
    drain(): void;
  }
}

/** The state of the service that health checks report. */
export interface Lifecycle {
  isDraining: boolean;
}

/**
 * Closes keep-alive connections once their requests in flight are answered. The server waits for every connection to end,
 * and a client may keep one open for minutes.
 */
export default fastifyPlugin((app: FastifyInstance, { lifecycle }: { lifecycle: Lifecycle }, done) => {
  let isClosing = false;
  /** Connections without a request so far. Browsers open them ahead of use, and the server does not count them as idle. */
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
