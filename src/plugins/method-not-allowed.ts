import { METHODS } from 'node:http';
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { Problem } from '../errors.js';

/**
 * Answers 405 with Allow for a path that does not support the method. The response precedes every other check, that of
 * the key included.
 *
 * Call it before the first route is registered, and call the returned function after the last one.
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
      // The router can refuse only methods that it knows. CONNECT never reaches a handler.
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
