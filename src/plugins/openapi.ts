import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import type { OpenAPIV3 } from 'openapi-types';
import { type TSchema, Type } from 'typebox';
import { catalogue, invalid, Problem, type ProblemCode, type ProblemKind } from '../errors.js';
import { changeComponents } from '../model/changes.js';
import { enumComponents } from '../model/enums.js';
import { sessionComponents } from '../model/session.js';
import { SessionPage } from '../model/session-list.js';
import { statisticsComponents } from '../model/statistics.js';
import { stripeComponents } from '../model/stripe.js';
import { StripeErrorComponent } from '../model/stripe-errors.js';
import { stripeReadComponents } from '../model/stripe-read-schemas.js';
import { version } from '../version.js';
import { docsTheme } from './docs-theme.js';
import { problemType } from './error-handler.js';

const Fault = Type.Object(
  {
    in: Type.String({
      enum: ['body', 'query', 'path', 'header'],
      description: 'The part of the request.',
      examples: ['body'],
    }),
    pointer: Type.String({
      description: 'RFC 6901 pointer into that part; empty for the whole of it.',
      examples: ['/mode'],
    }),
    detail: Type.String({
      description: 'What is wrong there.',
      examples: ['must be one of payment, setup, subscription'],
    }),
  },
  { $id: 'Fault', description: 'One place in a request that breaks a rule.' },
);

const ProblemComponent = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'Identifies the kind of problem: `urn:problem:` and its code.',
      examples: ['urn:problem:invalid-request'],
    }),
    title: Type.String({ description: 'The kind of problem, for people.', examples: ['The request is not valid'] }),
    status: Type.Integer({ description: 'The HTTP status code.', examples: [400] }),
    detail: Type.String({
      description: 'What happened this time.',
      examples: ['mode: must be one of payment, setup, subscription'],
    }),
    instance: Type.String({
      description: "The request's path, without its query.",
      examples: ['/api/checkout-sessions'],
    }),
    request_id: Type.String({
      description: 'Under which the log has this request.',
      examples: ['6f1c1f4e-6f0a-4b56-9a53-3f6b2d1f4a4e'],
    }),
    errors: Type.Optional(
      Type.Array(Type.Ref('Fault#'), { description: 'Every place that is not valid, where the request is at fault.' }),
    ),
  },
  { $id: 'Problem', description: 'An error: a problem document of RFC 9457.' },
);

/** A published component by its name. */
export function reference(name: string): TSchema {
  return Type.Ref(`${name}#`);
}

/** A response with a JSON body, for the `response` of a route's schema. */
export function json(description: string, schema: TSchema, headers?: Record<string, TSchema>) {
  return { description, content: { 'application/json': { schema } }, ...(headers && { headers }) };
}

/** A response without a body. */
export function empty(description: string, headers?: Record<string, TSchema>) {
  return { type: 'null', description, ...(headers && { headers }) };
}

interface ProblemResponse {
  description: string;
  headers: Record<string, TSchema>;
  content: { [problemType]: { schema: TSchema; examples: Record<string, object> } };
}

const requestIdHeader = Type.String({ description: 'Under which the log has this request.' });
const retryAfterHeader = Type.Integer({ description: 'Seconds after which to try again, where that may help.' });

/** The error responses of a route, from the catalogue; those that share a status share a response. */
export function problems(...codes: ProblemCode[]): Record<number, ProblemResponse> {
  const responses: Record<number, ProblemResponse> = {};
  for (const code of codes) {
    const { status, title, description, retryAfter }: ProblemKind = catalogue[code];
    const text = `\`urn:problem:${code}\` ${title}. ${description}`;
    const before = responses[status];
    responses[status] = {
      description: before ? `${before.description}\n\n${text}` : text,
      headers: {
        'X-Request-Id': requestIdHeader,
        ...before?.headers,
        ...(retryAfter && { 'Retry-After': retryAfterHeader }),
      },
      content: {
        [problemType]: {
          schema: Type.Ref('Problem#'),
          examples: { ...before?.content[problemType].examples, [code]: { $ref: `#/components/examples/${code}` } },
        },
      },
    };
  }
  return responses;
}

/** No operation answers with these: the path has none, or the request was not read as far as it. */
const beforeOperations: readonly string[] = ['method-not-allowed', 'headers-too-large', 'expectation-failed'];

/** What each problem of an operation looks like, by its code. */
function problemExamples(): Record<string, OpenAPIV3.ExampleObject> {
  const fault = { in: 'body', pointer: '/mode', detail: 'must be one of payment, setup, subscription' } as const;
  const codes = (Object.keys(catalogue) as ProblemCode[]).filter((code) => !beforeOperations.includes(code));
  return Object.fromEntries(
    codes.map((code) => {
      const problem = code === 'invalid-request' ? invalid([fault]) : new Problem(code);
      const value = problem.document('/api/checkout-sessions', '6f1c1f4e-6f0a-4b56-9a53-3f6b2d1f4a4e');
      return [code, { summary: catalogue[code].title, value }];
    }),
  );
}

/** The components by `$id`; the names of the generated clients. */
const components = [
  ...[...enumComponents, ...sessionComponents, SessionPage, ...stripeComponents, ...statisticsComponents],
  ...[...changeComponents, ...stripeReadComponents, StripeErrorComponent, Fault, ProblemComponent],
];

export interface OpenApiOptions {
  /** Base of the API, from PUBLIC_URL. */
  publicUrl: string | undefined;
  /** Examples of bodies by the name of their component. */
  examples: Readonly<Record<string, unknown>>;
}

/** Publishes the contract: `/openapi.json`, `/openapi.yaml`, and Swagger UI at `/docs` with assets of its own. */
export default fastifyPlugin(async (app: FastifyInstance, { publicUrl, examples }: OpenApiOptions) => {
  for (const component of components) app.addSchema(component);

  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'Checkout Sessions',
        version,
        description:
          'A mirror of Stripe Checkout Sessions in a relational database: each session complete, filtered, ordered and paged, without a call to Stripe.',
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      servers: [{ url: publicUrl ?? '/', description: 'This service.' }],
      tags: [
        { name: 'checkout-sessions', description: 'The Checkout Sessions.' },
        { name: 'changes', description: 'What happened to the sessions.' },
        { name: 'enums', description: 'The enums of a session, with labels.' },
        { name: 'statistics', description: 'The sessions in numbers.' },
        { name: 'stripe', description: 'What comes from Stripe.' },
        {
          name: 'stripe-reads',
          description: "Reads in the shape of Stripe's API, for Stripe's own SDKs: change their host to this service.",
        },
        { name: 'health', description: 'For load balancers and orchestrators.' },
      ],
      security: [{ apiKey: [] }, {}],
      components: {
        examples: problemExamples(),
        securitySchemes: {
          apiKey: {
            type: 'http',
            scheme: 'bearer',
            description:
              'One of the configured keys. Needed when the service has any. `Authorization: Token <key>`, as clients of Django REST Framework send it, is taken too.',
          },
        },
      },
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `schema-${index}`) },
    transformObject: (document) => finish((document as { openapiObject: OpenAPIV3.Document }).openapiObject, examples),
  });
  await app.register(async (docs) => {
    await docs.register(helmet, docsHeaders(publicUrl));
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      logo: { type: 'image/svg+xml', content: '<svg xmlns="http://www.w3.org/2000/svg"/>' },
      theme: docsTheme,
      uiConfig: {
        docExpansion: 'list',
        deepLinking: true,
        validatorUrl: null,
        syntaxHighlight: { theme: 'obsidian' },
      },
    });
  });

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

/**
 * The headers of the docs page: it runs its own scripts, and talks to this service. Swagger UI styles its elements
 * where they stand and draws its icons from `data:`.
 */
function docsHeaders(publicUrl: string | undefined): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'", ...(publicUrl ? [new URL(publicUrl).origin] : [])],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // Whether a whole host is https for years is for who terminates TLS to say.
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  };
}

/** What @fastify/swagger has no place for: the style of one parameter, and the examples of bodies. */
function finish(document: OpenAPIV3.Document, examples: OpenApiOptions['examples']): OpenAPIV3.Document {
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path ?? {}) as OpenAPIV3.OperationObject[]) {
      for (const parameter of (operation.parameters ?? []) as OpenAPIV3.ParameterObject[]) styleParameter(parameter);
      const responses = Object.values(operation.responses) as OpenAPIV3.ResponseObject[];
      for (const body of [operation.requestBody as OpenAPIV3.RequestBodyObject | undefined, ...responses]) {
        for (const media of Object.values(body?.content ?? {})) addExample(media, examples);
      }
    }
  }
  return document;
}

function styleParameter(parameter: OpenAPIV3.ParameterObject): void {
  const schema = parameter.schema as OpenAPIV3.SchemaObject & { style?: string; explode?: boolean };
  if (schema.style === undefined) return;
  parameter.style = schema.style;
  // With a map here the Rust clients of openapi-generator 5.4 and 7.0 do not compile; with any object they do.
  if (schema.style === 'deepObject') delete schema.additionalProperties;
  if (schema.explode !== undefined) parameter.explode = schema.explode;
  delete schema.style;
  delete schema.explode;
}

function addExample(media: OpenAPIV3.MediaTypeObject, examples: OpenApiOptions['examples']): void {
  const reference = (media.schema as OpenAPIV3.ReferenceObject | undefined)?.$ref;
  const example = reference && examples[reference.slice(reference.lastIndexOf('/') + 1)];
  if (example !== undefined) media.example = example;
}
