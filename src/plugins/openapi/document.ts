import type { OpenAPIV3 } from 'openapi-types';
import { version } from '../../version.js';
import { problemExamples } from './responses.js';

/**
 * Returns the OpenAPI document without its paths and schemas, which come from the routes and their components.
 *
 * @param publicUrl base of the API, from PUBLIC_URL.
 */
export function documentHead(publicUrl: string | undefined): Partial<OpenAPIV3.Document> {
  return {
    // Not 3.1: the clients generated from it differ from the contract's.
    openapi: '3.0.3',
    info: {
      title: 'Checkout Sessions',
      version,
      description:
        'A mirror of Stripe Checkout Sessions in your own database. Read, filter, order and page complete sessions without a call to Stripe.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: publicUrl ?? '/', description: 'This service.' }],
    tags,
    security: [{ apiKey: [] }, {}],
    components: { examples: problemExamples(), securitySchemes: { apiKey } },
  };
}

const tags: OpenAPIV3.TagObject[] = [
  { name: 'checkout-sessions', description: 'Read and write Checkout Sessions.' },
  { name: 'changes', description: 'The change feed of the sessions.' },
  { name: 'enums', description: 'The enums of a session, with the label of each value.' },
  { name: 'statistics', description: 'Statistics of the sessions.' },
  { name: 'stripe', description: 'Webhook events from Stripe.' },
  {
    name: 'stripe-reads',
    description:
      "Read sessions in the shape of Stripe's API. To use Stripe's own SDKs, set their host to this service.",
  },
  { name: 'health', description: 'Health checks and metrics for load balancers, orchestrators and Prometheus.' },
];

const apiKey: OpenAPIV3.SecuritySchemeObject = {
  type: 'http',
  scheme: 'bearer',
  description:
    'A key of API_KEYS or API_READ_KEYS. It is required when the service has keys. `Authorization: Token <key>`, which clients of Django REST Framework send, works too.',
};
