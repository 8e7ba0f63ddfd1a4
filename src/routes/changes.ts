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
import { accepted, requestProblems, requestUrl, serverProblems } from './answers.js';

export interface ChangeRoutesOptions {
  feed: ChangeFeed;
  /** Base of the URLs in answers; from the request when absent. */
  publicUrl: string | undefined;
}

const eventStream = 'text/event-stream';

/** The change feed: as pages of JSON, or as a stream. */
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
        description: `What happened to the sessions, in the order of each session, at least once. Store \`cursor\` in the transaction of the changes' effect, and go on after it. To begin, take the cursor of \`cursor=now\`, list all sessions, then follow.\n\nWith \`Accept: ${eventStream}\` the answer is a stream of Server-Sent Events that goes on: \`id\` is the cursor, \`event\` the type, \`data\` the change. It goes on after \`Last-Event-ID\`, and ends every ten minutes or so: connect again.`,
        tags: ['changes'],
        querystring: changeParameters,
        headers: Type.Object({
          'Last-Event-ID': Type.Optional(
            Type.String({ description: 'Of a stream: the `id` that came last. It stands before `cursor`.' }),
          ),
        }),
        response: {
          200: {
            description: 'The changes after the cursor.',
            content: {
              'application/json': { schema: reference('CheckoutSessionChangePage') },
              [eventStream]: {
                schema: Type.String({ description: 'Server-Sent Events: each `data` is a CheckoutSessionChange.' }),
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
      const query = accepted(parseChangeQuery(request.query));
      const reader = feed.enter(() => reply.raw.destroy());
      // Of the response: a listener on the socket would stay for as long as the client keeps the connection.
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

/** The place after the last event that a client of a stream has seen. */
function lastSeen({ headers }: FastifyRequest): ChangeQuery['cursor'] {
  const id = headers['last-event-id'];
  if (typeof id !== 'string' || id === '') return undefined;
  const position = decodePosition(id);
  if (!position) throw invalid([{ in: 'header', pointer: '/Last-Event-ID', detail: 'is no cursor of this log' }]);
  return position;
}

/** Whether a client would rather have a stream than JSON. Generated clients accept all that an operation answers with. */
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
