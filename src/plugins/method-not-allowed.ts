import { METHODS } from 'node:http';
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { Problem } from '../errors.js';

/**
 * Answers 405 with Allow where a path exists and the method does not. The answer is given before anything
 * else is asked of the request, a key included.
 *
 * Call it before the routes are registered, and what it returns after the last of them.
 */
export function collectMethods(app: FastifyInstance): () => void {
  const methodsByUrl = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config && ('refused' in config || config.answersOtherMethods)) return;
    const methods = methodsByUrl.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    methodsByUrl.set(url, methods);
  });

  return () => {
    for (const method of METHODS) {
      // CONNECT never reaches a handler; the rest must be known to the router to be refused by it.
      if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method);
    }
    for (const [url, methods] of methodsByUrl) {
      const allow = [...methods].sort().join(', ');
      app.route({
        url,
        method: app.supportedMethods.filter((method) => !methods.has(method)) as HTTPMethods[],
        config: { refused: true },
        schema: { hide: true },
        onRequest: () => Promise.reject(new Problem('method-not-allowed', { headers: { allow } })),
        handler: () => undefined,
      });
    }
  };
}
