import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { OpenAPIV3 } from 'openapi-types';
import { changeComponents } from '../../model/changes.js';
import { enumComponents } from '../../model/enums.js';
import { sessionComponents } from '../../model/session.js';
import { SessionPage } from '../../model/session-list.js';
import { statisticsComponents } from '../../model/statistics.js';
import { stripeComponents } from '../../model/stripe.js';
import { StripeErrorComponent } from '../../model/stripe-errors.js';
import { stripeReadComponents } from '../../model/stripe-read-schemas.js';
import { addToDocument, type BodyExamples } from './additions.js';
import { serveDocsPage } from './docs-page.js';
import { documentHead } from './document.js';
import { problemComponents } from './problem-component.js';

/** The published components. Each `$id` names a type in the generated clients. */
const components = [
  ...[...enumComponents, ...sessionComponents, SessionPage, ...stripeComponents, ...statisticsComponents],
  ...[...changeComponents, ...stripeReadComponents, StripeErrorComponent, ...problemComponents],
];

export interface OpenApiOptions {
  /** Base of the API, from PUBLIC_URL. */
  publicUrl: string | undefined;
  examples: BodyExamples;
}

/** Publishes the contract as `/openapi.json`, as `/openapi.yaml` and as a page at `/docs`. */
export default fastifyPlugin(async (app: FastifyInstance, { publicUrl, examples }: OpenApiOptions) => {
  for (const component of components) app.addSchema(component);

  await app.register(swagger, {
    openapi: documentHead(publicUrl),
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `schema-${index}`) },
    transformObject: (document) =>
      addToDocument((document as { openapiObject: OpenAPIV3.Document }).openapiObject, examples),
  });
  await app.register(serveDocsPage, { publicUrl });

  const cached = { json: '', yaml: '' };
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    cached.json ||= JSON.stringify(app.swagger(), null, 2);
    return reply.type('application/json').send(cached.json);
  });
  app.get('/openapi.yaml', { schema: { hide: true } }, (_request, reply) => {
    cached.yaml ||= app.swagger({ yaml: true });
    return reply.type('application/yaml').send(cached.yaml);
  });
});
