import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Config } from '../config.js';
import { metricsCheck } from '../plugins/access.js';
import type { Metrics } from '../plugins/metrics.js';
import { problems } from '../plugins/openapi/responses.js';

interface MetricsRouteOptions {
  metrics: Metrics;
  config: Config;
}

/** Serves the metrics that Prometheus scrapes. */
export async function metricsRoute(app: FastifyInstance, { metrics, config }: MetricsRouteOptions) {
  const checkAccess = metricsCheck(config);
  const { registry } = metrics;
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        summary: 'Read the metrics',
        description: 'Text in the exposition format of Prometheus. Needs a key, like the API.',
        tags: ['health'],
        response: {
          200: {
            description: 'The metrics of this process.',
            content: { 'text/plain': { schema: Type.String({ description: 'One line for each series.' }) } },
          },
          ...problems('unauthorized', 'forbidden', 'misdirected-request', 'internal'),
        },
      },
      onRequest: (request, _reply, next) => {
        checkAccess(request);
        next();
      },
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
}
