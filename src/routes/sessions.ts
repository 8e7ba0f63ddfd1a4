import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { SessionStore, StoredPage, StoredSession } from '../database/sessions.js';
import { invalid, Problem } from '../errors.js';
import { isNotModified, parsePrecondition } from '../model/etag.js';
import { encodeCursor, ListParameters, type ListQuery, parseListQuery } from '../model/list.js';
import { SessionId } from '../model/session.js';
import { type Parsed, parsePatch, parseSession } from '../model/session-request.js';
import { parseJson } from '../plugins/json-body.js';
import { empty, json, problems } from '../plugins/openapi.js';

export interface SessionRoutesOptions {
  sessions: SessionStore;
  /** Base of the URLs in answers; from the request when absent. */
  publicUrl: string | undefined;
}

const path = '/checkout-sessions';
const tags = ['checkout-sessions'];
const always = ['malformed-request', 'unauthorized', 'forbidden', 'misdirected-request'] as const;
const failures = ['internal', 'database-unavailable', 'query-timeout'] as const;
const bodies = ['invalid-request', 'payload-too-large', 'unsupported-media-type', 'request-timeout'] as const;

const params = Type.Object({ id: SessionId });
const Reference = (name: string) => Type.Ref(`${name}#`);
const etagHeader = { ETag: Type.String({ description: 'The tag of this state, for If-Match and If-None-Match.' }) };
const ifMatch = Type.Optional(
  Type.String({ description: 'Act only on a session whose ETag is listed; `*` on any that exists.' }),
);
const ifNoneMatch = (description: string) => Type.Optional(Type.String({ description }));

/** The Checkout Sessions: create, retrieve, replace, merge-patch, delete, list. */
export async function sessionRoutes(instance: FastifyInstance, { sessions, publicUrl }: SessionRoutesOptions) {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const baseOf = (request: FastifyRequest) => publicUrl?.replace(/\/$/, '') ?? `${request.protocol}://${request.host}`;

  app.get(
    path,
    {
      // The parser of the query knows more than a schema can say: lookups, cursors, the nearest name.
      validatorCompiler: () => (query) => listQuery(query),
      schema: {
        operationId: 'checkout_sessions_list',
        summary: 'List sessions',
        description:
          'A page of the sessions that satisfy all filters. Follow `next` for the pages after it: its cost does not grow with the depth, and sessions that others create meanwhile are neither skipped nor repeated.',
        tags,
        querystring: ListParameters,
        response: {
          200: json('A page of sessions.', Reference('PaginatedDjStripeCheckoutSessionList')),
          ...problems(...always, 'invalid-request', ...failures),
        },
      },
    },
    async (request, reply) => {
      const page = await sessions.list(request.query as unknown as ListQuery);
      return reply.type('application/json').send(pageJson(page, `${baseOf(request)}${request.url}`));
    },
  );

  app.post(
    path,
    {
      schema: {
        operationId: 'checkout_sessions_create',
        summary: 'Create a session',
        description: 'Stores a session. An id that was deleted may be created again.',
        tags,
        body: Reference('DjStripeCheckoutSessionRequest'),
        response: {
          201: json('The session as stored.', Reference('DjStripeCheckoutSession'), {
            Location: Type.String({ description: 'The URL of the session.' }),
            ...etagHeader,
          }),
          ...problems(...always, ...bodies, 'session-exists', ...failures),
        },
      },
    },
    async (request, reply) => {
      const write = accepted(parseSession(request.body));
      const stored = await sessions.create(write);
      if (!stored) throw new Problem('session-exists', { detail: `The session ${write.id} exists already.` });
      return sendCreated(reply, stored, baseOf(request), write.id);
    },
  );

  app.get(
    `${path}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_retrieve',
        summary: 'Retrieve a session',
        description: "One session by Stripe's id.",
        tags,
        params,
        headers: Type.Object({
          'If-None-Match': ifNoneMatch('Answer 304 without a body while the ETag is one of these.'),
        }),
        response: {
          200: json('The session.', Reference('DjStripeCheckoutSession'), etagHeader),
          304: empty('The session is as the client has it.', etagHeader),
          ...problems(...always, 'invalid-request', 'session-not-found', ...failures),
        },
      },
    },
    async (request, reply) => {
      const stored = await sessions.find(request.params.id);
      if (!stored) throw new Problem('session-not-found');
      if (request.headers['if-none-match'] && isNotModified(parsePrecondition(request.headers), stored.etag)) {
        return reply.code(304).header('etag', stored.etag).send();
      }
      return sendSession(reply, stored);
    },
  );

  app.put(
    `${path}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_update',
        summary: 'Create or replace a session',
        description:
          'Stores the session under the id of the path, whether there was one or not. Optional properties that are left out become null or "". What came from Stripe beside these properties stays.',
        tags,
        params,
        headers: Type.Object({
          'If-Match': ifMatch,
          'If-None-Match': ifNoneMatch('`*`: create only. With tags: act only on a session that has none of them.'),
        }),
        body: Reference('DjStripeCheckoutSessionRequest'),
        response: {
          200: json('The session as it replaced the one before.', Reference('DjStripeCheckoutSession'), etagHeader),
          201: json('The session, which is new.', Reference('DjStripeCheckoutSession'), {
            Location: Type.String({ description: 'The URL of the session.' }),
            ...etagHeader,
          }),
          ...problems(...always, ...bodies, 'precondition-failed', ...failures),
        },
      },
    },
    async (request, reply) => {
      const precondition = parsePrecondition(request.headers);
      const write = accepted(parseSession(request.body, request.params.id));
      const { created, ...stored } = await sessions.replace(write, precondition);
      return created ? sendCreated(reply, stored, baseOf(request), write.id) : sendSession(reply, stored);
    },
  );

  app.register(async (patching) => {
    const scope = patching.withTypeProvider<TypeBoxTypeProvider>();
    scope.addContentTypeParser('application/merge-patch+json', { parseAs: 'buffer' }, parseJson(scope));
    scope.patch(
      `${path}/:id`,
      {
        schema: {
          operationId: 'checkout_sessions_partial_update',
          summary: 'Change a session',
          description:
            'A JSON merge patch (RFC 7396). Patches of different properties, or of different keys of `metadata`, at the same time all take effect.',
          tags,
          params,
          headers: Type.Object({
            'If-Match': ifMatch,
            'If-None-Match': ifNoneMatch('Act only on a session that has none of these tags.'),
          }),
          consumes: ['application/json', 'application/merge-patch+json'],
          body: Reference('PatchedDjStripeCheckoutSessionRequest'),
          response: {
            200: json('The session with the changes.', Reference('DjStripeCheckoutSession'), etagHeader),
            ...problems(...always, ...bodies, 'session-not-found', 'precondition-failed', ...failures),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const precondition = parsePrecondition(request.headers);
        const changes = accepted(parsePatch(request.body, id));
        return sendSession(reply, await sessions.patch(id, changes, precondition));
      },
    );
  });

  app.delete(
    `${path}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_destroy',
        summary: 'Delete a session',
        description:
          'Gone for good: nothing that Stripe sends brings it back, only an explicit create or replace does.',
        tags,
        params,
        headers: Type.Object({
          'If-Match': ifMatch,
          'If-None-Match': ifNoneMatch('Act only on a session that has none of these tags.'),
        }),
        response: {
          204: empty('The session is deleted.'),
          ...problems(...always, 'invalid-request', 'session-not-found', 'precondition-failed', ...failures),
        },
      },
    },
    async (request, reply) => {
      await sessions.remove(request.params.id, parsePrecondition(request.headers));
      return reply.code(204).send();
    },
  );
}

/** What a body or query was read as; its faults are the answer otherwise. */
function accepted<Value>(parsed: Parsed<Value>): Value {
  if (parsed.faults) throw invalid(parsed.faults);
  return parsed.value;
}

function listQuery(query: Record<string, string>): { value: ListQuery } | { error: Error } {
  const parsed = parseListQuery(query);
  return parsed.faults ? { error: invalid(parsed.faults) } : { value: parsed.value };
}

function sendSession(reply: FastifyReply, { document, etag }: StoredSession): FastifyReply {
  return reply.header('etag', etag).type('application/json').send(document);
}

function sendCreated(reply: FastifyReply, stored: StoredSession, base: string, id: string): FastifyReply {
  reply.code(201).header('location', `${base}/api${path}/${encodeURIComponent(id)}`);
  return sendSession(reply, stored);
}

/** The envelope of a page around documents that are JSON already. */
function pageJson({ documents, next, previous, count }: StoredPage, url: string): string {
  const link = (cursor: StoredPage['next']) => {
    if (!cursor) return null;
    const target = new URL(url);
    target.searchParams.set('cursor', encodeCursor(cursor));
    return target.href;
  };
  const envelope = JSON.stringify({ count, next: link(next), previous: link(previous) }).slice(0, -1);
  return `${envelope},"results":[${documents.join(',')}]}`;
}
