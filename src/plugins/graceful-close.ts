import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';

/**
 * Closes the connections that clients keep, as soon as what was in flight on them is answered: the server waits for
 * every connection to end, and a client may keep one for minutes.
 */
export default fastifyPlugin((app: FastifyInstance, _options, done) => {
  let isClosing = false;
  app.addHook('preClose', (closing) => {
    isClosing = true;
    closing();
  });
  app.addHook('onResponse', (_request, _reply, responded) => {
    if (isClosing) setImmediate(() => app.server.closeIdleConnections());
    responded();
  });
  done();
});
