import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { StoredSession } from '../database/sessions/read.js';
import type { SessionStore } from '../database/sessions/store.js';
import { Problem } from '../errors.js';
import { isNotModified, parsePrecondition, tagsPattern } from '../model/etag.js';
import { filterRules } from '../model/list-schemas.js';
import { SessionId } from '../model/session.js';
import { sessionList } from '../model/session-list.js';
import { parsePatch, parseSession } from '../model/session-request.js';
import { parseJson } from '../plugins/json-body.js';
import { empty, json, problems, reference } from '../plugins/openapi/responses.js';
import {
  baseUrl,
  bodyProblems,
  etagHeader,
  requestProblems,
  sendPage,
  sendSession,
  serverProblems,
  sessionsPath,
  validOrThrow,
} from './answers.js';

export interface SessionRoutesOptions {
  sessions: SessionStore;
  /** Base of URLs in responses. Defaults to that of the request. */
  publicUrl: string | undefined;
}

const tags = ['checkout-sessions'];
const params = Type.Object({ id: SessionId });
const tagList = (description: string) => Type.Optional(Type.String({ pattern: tagsPattern, description }));
const ifMatch = tagList('Act only if the ETag of the session is listed. `*`: act only if the session exists.');

/** Serves the Checkout Sessions: list, create, retrieve, replace, patch, delete. */
export async function sessionRoutes(instance: FastifyInstance, { sessions, publicUrl }: SessionRoutesOptions) {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const baseOf = (request: FastifyRequest) => baseUrl(request, publicUrl);

  app.get(
    sessionsPath,
    {
      schema: {
        operationId: 'checkout_sessions_list',
        summary: 'List sessions',
        description: `Returns a page of the sessions that match all filters. Follow \`next\` for more pages. A deep page costs no more than the first one. While others create sessions, the pages neither skip nor repeat a session.\n\n${filterRules}`,
        tags,
        querystring: sessionList.parameters,
        response: {
          200: json('A page of sessions.', reference('PaginatedDjStripeCheckoutSessionList')),
          ...problems(...requestProblems, 'invalid-request', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const page = await sessions.list(validOrThrow(sessionList.parse(request.query)));
      return sendPage(reply, page, baseOf(request));
    },
  );

  app.post(
    sessionsPath,
    {
      schema: {
        operationId: 'checkout_sessions_create',
        summary: 'Create a session',
        description: 'Stores a session. The id of a deleted session may be used again.',
        tags,
        body: reference('DjStripeCheckoutSessionRequest'),
        response: {
          201: json('The stored session.', reference('DjStripeCheckoutSession'), {
            Location: Type.String({ description: 'The URL of the session.' }),
            ...etagHeader,
          }),
          ...problems(...requestProblems, ...bodyProblems, 'session-exists', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const write = validOrThrow(parseSession(request.body));
      const stored = await sessions.create(write);
      if (!stored) throw new Problem('session-exists', { detail: `The session ${write.id} already exists.` });
      return sendCreated(reply, stored, baseOf(request), write.id);
    },
  );

  app.get(
    `${sessionsPath}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_retrieve',
        summary: 'Retrieve a session',
        description:
          "Returns one session by Stripe's id. With `include=payment` the ETag is still that of the session, for If-Match, and the response is never 304: the last event of the payment may change without a new ETag.",
        tags,
        params,
        querystring: sessionList.retrieveParameters,
        headers: Type.Object({
          'If-None-Match': tagList(
            'Answer 304 without a body if the ETag of the session is listed. Ignored with `include=payment`.',
          ),
        }),
        response: {
          200: json('The session.', reference('DjStripeCheckoutSession'), etagHeader),
          304: empty('The session has not changed.', etagHeader),
          ...problems(...requestProblems, 'invalid-request', 'session-not-found', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const { include } = validOrThrow(sessionList.parseRetrieve(request.query));
      const stored = await sessions.find(request.params.id, include);
      if (!stored) throw new Problem('session-not-found');
      const isKnown =
        request.headers['if-none-match'] !== undefined &&
        isNotModified(parsePrecondition(request.headers), stored.etag);
      // The tag does not cover the last event of the payment.
      if (isKnown && !include) {
        return reply.code(304).header('etag', stored.etag).send();
      }
      return sendSession(reply, stored);
    },
  );

  app.put(
    `${sessionsPath}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_update',
        summary: 'Create or replace a session',
        description:
          'Creates the session, or replaces the session with this id. Omitted optional properties become null or "". Other data from Stripe, such as its raw object, stays.',
        tags,
        params,
        headers: Type.Object({
          'If-Match': ifMatch,
          'If-None-Match': tagList('`*`: create only. With tags: act only if the ETag of the session is not listed.'),
        }),
        body: reference('DjStripeCheckoutSessionRequest'),
        response: {
          200: json('The session that replaced the stored one.', reference('DjStripeCheckoutSession'), etagHeader),
          201: json('The new session.', reference('DjStripeCheckoutSession'), {
            Location: Type.String({ description: 'The URL of the session.' }),
            ...etagHeader,
          }),
          ...problems(...requestProblems, ...bodyProblems, 'precondition-failed', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const precondition = parsePrecondition(request.headers);
      const write = validOrThrow(parseSession(request.body, request.params.id));
      const { created, ...stored } = await sessions.replace(write, precondition);
      return created ? sendCreated(reply, stored, baseOf(request), write.id) : sendSession(reply, stored);
    },
  );

  app.register(async (patching) => {
    const scope = patching.withTypeProvider<TypeBoxTypeProvider>();
    scope.addContentTypeParser('application/merge-patch+json', { parseAs: 'buffer' }, parseJson(scope));
    scope.patch(
      `${sessionsPath}/:id`,
      {
        schema: {
          operationId: 'checkout_sessions_partial_update',
          summary: 'Change a session',
          description:
            'Applies a JSON merge patch (RFC 7396). Concurrent patches of different properties, or of different keys of `metadata`, all take effect.',
          tags,
          params,
          headers: Type.Object({
            'If-Match': ifMatch,
            'If-None-Match': tagList('Act only if the ETag of the session is not listed.'),
          }),
          consumes: ['application/json', 'application/merge-patch+json'],
          body: reference('PatchedDjStripeCheckoutSessionRequest'),
          response: {
            200: json('The patched session.', reference('DjStripeCheckoutSession'), etagHeader),
            ...problems(
              ...requestProblems,
              ...bodyProblems,
              'session-not-found',
              'precondition-failed',
              ...serverProblems,
            ),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const precondition = parsePrecondition(request.headers);
        const changes = validOrThrow(parsePatch(request.body, id));
        return sendSession(reply, await sessions.patch(id, changes, precondition));
      },
    );
  });

  app.delete(
    `${sessionsPath}/:id`,
    {
      schema: {
        operationId: 'checkout_sessions_destroy',
        summary: 'Delete a session',
        description:
          'Deletes the session for good. Nothing from Stripe restores it. Only an explicit create or replace does.',
        tags,
        params,
        headers: Type.Object({
          'If-Match': ifMatch,
          'If-None-Match': tagList('Act only if the ETag of the session is not listed.'),
        }),
        response: {
          204: empty('The session is deleted.'),
          ...problems(
            ...requestProblems,
            'invalid-request',
            'session-not-found',
            'precondition-failed',
            ...serverProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      await sessions.remove(request.params.id, parsePrecondition(request.headers));
      return reply.code(204).send();
    },
  );
}

function sendCreated(reply: FastifyReply, stored: StoredSession, base: string, id: string): FastifyReply {
  reply.code(201).header('location', `${base}/api${sessionsPath}/${encodeURIComponent(id)}`);
  return sendSession(reply, stored);
}
