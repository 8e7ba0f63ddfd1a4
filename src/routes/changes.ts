import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ChangeFeed } from '../changes/feed.js';
import type { ChangePage } from '../database/change-page.js';
import { invalid } from '../errors.js';
import {
  type ChangeQuery,
  changeParameters,
  decodePosition,
  encodePosition,
  parseChangeQuery,
} from '../model/changes.js';
import { problems, reference } from '../plugins/openapi/responses.js';
import { requestProblems, requestUrl, serverProblems, validOrThrow } from './answers.js';

export interface ChangeRoutesOptions {
  feed: ChangeFeed;
  /** Base of URLs in responses. Defaults to that of the request. */
  publicUrl: string | undefined;
}

const eventStream = 'text/event-stream';

/** Serves the change feed, as pages of JSON or as a stream. */
export async function changeRoutes(instance: FastifyInstance, { feed, publicUrl }: ChangeRoutesOptions) {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  app.addHook('preClose', (closing) => {
    feed.stop();
    closing();
  });

  app.get(
    '/changes',
    {
      schema: {
        operationId: 'changes_list',
        summary: 'Follow the changes',
        description: `Returns the changes of all sessions. Each change arrives at least once, and the changes of one session arrive in order. Store \`cursor\` in the transaction that applies the changes, and continue after it. To begin, get a cursor with \`cursor=now\`, list all sessions, then follow the changes from that cursor.\n\nWith \`Accept: ${eventStream}\` the response is an endless stream of Server-Sent Events: \`id\` is the cursor, \`event\` the type, \`data\` the change. The stream continues after \`Last-Event-ID\`. It ends about every ten minutes: connect again.`,
        tags: ['changes'],
        querystring: changeParameters,
        headers: Type.Object({
          'Last-Event-ID': Type.Optional(
            Type.String({
              description: 'For a stream: the last `id` that the client received. It takes precedence over `cursor`.',
            }),
          ),
        }),
        response: {
          200: {
            description: 'The changes after the cursor.',
            content: {
              'application/json': { schema: reference('CheckoutSessionChangePage') },
              [eventStream]: {
                schema: Type.String({
                  description: 'Server-Sent Events. The `data` of each event is a CheckoutSessionChange.',
                }),
              },
            },
          },
          ...problems(
            ...requestProblems,
            ...(['invalid-request', 'cursor-expired', 'changes-not-supported', 'too-many-streams'] as const),
            ...serverProblems,
          ),
        },
      },
    },
    async (request, reply) => {
      const query = validOrThrow(parseChangeQuery(request.query));
      const reader = feed.enter(() => reply.raw.destroy());
      // Listen on the response: a listener on the socket would stay as long as the client keeps the connection.
      reply.raw.on('close', reader.leave);
      reply.header('vary', 'Accept');
      if (asksForStream(request.headers.accept)) {
        const chunks = await reader.stream({ ...query, cursor: lastSeen(request) ?? query.cursor });
        request.answeredAfter = reply.elapsedTime;
        reply.type(eventStream).headers({ 'x-accel-buffering': 'no', 'cache-control': 'no-cache, no-transform' });
        if (request.method !== 'HEAD') return reply.send(chunks);
        chunks.destroy();
        return reply.send('');
      }
      const began = performance.now();
      const page = await reader.page(request.method === 'HEAD' ? { ...query, wait: 0 } : query);
      if (query.wait > 0) request.answeredAfter = Math.max(0, reply.elapsedTime - (performance.now() - began));
      return reply.type('application/json; charset=utf-8').send(bodyOf(page, requestUrl(request, publicUrl)));
    },
  );
}

/**
 * Returns the cursor in `Last-Event-ID`.
 *
 * @throws Problem `invalid-request` for a header that is not a cursor.
 */
function lastSeen({ headers }: FastifyRequest): ChangeQuery['cursor'] {
  const id = headers['last-event-id'];
  if (typeof id !== 'string' || id === '') return undefined;
  const position = decodePosition(id);
  if (!position) throw invalid([{ in: 'header', pointer: '/Last-Event-ID', detail: 'is not a cursor of this log' }]);
  return position;
}

/** Returns whether a client prefers a stream to JSON. Generated clients accept every media type of an operation. */
function asksForStream(accept = ''): boolean {
  const weights = new Map<string, number>();
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    weights.set(type, weight === undefined ? 1 : Number(weight));
  }
  return (weights.get(eventStream) ?? 0) > (weights.get('application/json') ?? 0);
}

function bodyOf({ changes, end, hasMore }: ChangePage, url: URL): string {
  const cursor = encodePosition(end);
  url.searchParams.set('cursor', cursor);
  const tail = JSON.stringify({ cursor, next: url.href, more: hasMore });
  return `{"results":[${changes.map(({ json }) => json).join()}],${tail.slice(1)}`;
}
