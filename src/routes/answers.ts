import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { StoredPage } from '../database/list/page.js';
import type { StoredSession } from '../database/sessions/read.js';
import { invalid } from '../errors.js';
import { encodeCursor } from '../model/cursor.js';
import type { Parsed } from '../model/session-request.js';

/** Shared parts of the routes: the problems that all of them list, and the forms of their responses. */

export const sessionsPath = '/checkout-sessions';

/** Problems of every route of the API. */
export const requestProblems = [
  ...(['malformed-request', 'unauthorized', 'forbidden', 'misdirected-request'] as const),
  ...(['too-many-requests', 'overloaded'] as const),
] as const;

/** Problems of every route that uses the database. */
export const serverProblems = ['internal', 'database-unavailable', 'query-timeout'] as const;

/** Problems of every route that takes a body. */
export const bodyProblems = [
  'invalid-request',
  'payload-too-large',
  'unsupported-media-type',
  'request-timeout',
] as const;

export const etagHeader = {
  ETag: Type.String({ description: 'The tag of this version, for If-Match and If-None-Match.' }),
};

/** The tag of a response that holds the last event of a session. The event may change without a new tag. */
export const paymentTagHeader = {
  ETag: Type.String({
    description: 'The tag of the session, for If-Match. The last event may change without a new tag.',
  }),
};

/**
 * Returns a parsed value.
 *
 * @throws Problem `invalid-request` that names the faults of an invalid one.
 */
export function validOrThrow<Value>(parsed: Parsed<Value>): Value {
  if (parsed.faults) throw invalid(parsed.faults);
  return parsed.value;
}

/** Returns the base of URLs in responses: PUBLIC_URL, or the scheme and host of the request. */
export function baseUrl(request: FastifyRequest, publicUrl: string | undefined): string {
  return publicUrl?.replace(/\/$/, '') ?? `${request.protocol}://${request.host || addressOf(request.socket)}`;
}

/** Returns the local address of a request without a Host header, which HTTP/1.0 allows. */
function addressOf({ localAddress = '', localPort }: FastifyRequest['socket']): string {
  // Remove the prefix of an IPv4 address on an IPv6 socket, and the zone of a link-local address.
  const address = localAddress.replace(/^::ffff:|%.*$/g, '');
  return `${address.includes(':') ? `[${address}]` : address}:${localPort}`;
}

/** Sends a stored session. */
export function sendSession(reply: FastifyReply, { document, etag }: StoredSession): FastifyReply {
  return reply.header('etag', etag).type('application/json').send(document);
}

/** Returns the URL that a client may use to repeat a request. */
export function requestUrl(request: FastifyRequest, publicUrl: string | undefined): URL {
  return new URL(`${baseUrl(request, publicUrl)}${request.url.replace(origin, '')}`);
}

/** The origin in a request target that is a whole URL, which servers must accept (RFC 9112, section 3.2.2). */
const origin = /^https?:\/\/[^/]*/i;

/**
 * Sends a page.
 *
 * @param base base of the URLs in the response.
 */
export function sendPage(reply: FastifyReply, page: StoredPage, base: string): FastifyReply {
  const url = `${base}${reply.request.url.replace(origin, '')}`;
  return sendResults(reply, headOf(page, url), page);
}

/**
 * Sends an object whose last property is the results. It sends bytes, because Fastify measures a string before it encodes
 * it, and a string is slower to write. The results are encoded straight into the body, without a joined string.
 *
 * @param head the JSON before the results, in ASCII.
 */
export function sendResults(
  reply: FastifyReply,
  head: string,
  { results, isAscii }: Pick<StoredPage, 'results' | 'isAscii'>,
): FastifyReply {
  const encoding = isAscii ? 'latin1' : 'utf8';
  const tail = ']}';
  const body = Buffer.allocUnsafe(head.length + Buffer.byteLength(results, encoding) + tail.length);
  let end = body.write(head, 'latin1');
  end += body.write(results, end, encoding);
  body.write(tail, end, 'latin1');
  return reply.type('application/json; charset=utf-8').send(body);
}

/** Returns the JSON before the results of a page. It is ASCII, because URLs are. */
function headOf({ next, previous, count }: StoredPage, url: string): string {
  const link = (cursor: StoredPage['next']) => {
    if (!cursor) return null;
    const target = new URL(url);
    target.searchParams.set('cursor', encodeCursor(cursor));
    return target.href;
  };
  return `${JSON.stringify({ count, next: link(next), previous: link(previous) }).slice(0, -1)},"results":[`;
}
