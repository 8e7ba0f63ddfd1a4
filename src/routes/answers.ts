import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { StoredPage } from '../database/list/page.js';
import type { StoredSession } from '../database/sessions/read.js';
import { invalid } from '../errors.js';
import { encodeCursor } from '../model/cursor.js';
import type { Parsed } from '../model/session-request.js';

/** What the routes have in common: the problems that belong to all, and the forms of their answers. */

export const sessionsPath = '/checkout-sessions';

/** Problems of every route of the API. */
export const requestProblems = [
  ...(['malformed-request', 'unauthorized', 'forbidden', 'misdirected-request'] as const),
  ...(['too-many-requests', 'overloaded'] as const),
] as const;

/** Problems of every route that asks the database. */
export const serverProblems = ['internal', 'database-unavailable', 'query-timeout'] as const;

/** Problems of every route that takes a body. */
export const bodyProblems = [
  'invalid-request',
  'payload-too-large',
  'unsupported-media-type',
  'request-timeout',
] as const;

export const etagHeader = {
  ETag: Type.String({ description: 'The tag of this state, for If-Match and If-None-Match.' }),
};

/** The tag of an answer with the last event of a session, which changes without a new state of the session. */
export const paymentTagHeader = {
  ETag: Type.String({
    description: 'The tag of the session, for If-Match. It does not cover the last event, which may change without it.',
  }),
};

/** What a body was read as; its faults are the answer otherwise. */
export function accepted<Value>(parsed: Parsed<Value>): Value {
  if (parsed.faults) throw invalid(parsed.faults);
  return parsed.value;
}

/** The base of URLs in answers: the configured one, or as the request came. */
export function baseUrl(request: FastifyRequest, publicUrl: string | undefined): string {
  return publicUrl?.replace(/\/$/, '') ?? `${request.protocol}://${request.host || addressOf(request.socket)}`;
}

/** Returns the address at which a request arrived that names no host, as one of HTTP/1.0 need not. */
function addressOf({ localAddress = '', localPort }: FastifyRequest['socket']): string {
  // An IPv4 address on a socket of IPv6, the zone of a link-local address.
  const address = localAddress.replace(/^::ffff:|%.*$/g, '');
  return `${address.includes(':') ? `[${address}]` : address}:${localPort}`;
}

/** Answers with a session as it is stored. */
export function sendSession(reply: FastifyReply, { document, etag }: StoredSession): FastifyReply {
  return reply.header('etag', etag).type('application/json').send(document);
}

/** The URL of a request, as its client may ask for it again. */
export function requestUrl(request: FastifyRequest, publicUrl: string | undefined): URL {
  return new URL(`${baseUrl(request, publicUrl)}${request.url.replace(origin, '')}`);
}

/** What a target has before its path where it is a whole URL, which servers must accept (RFC 9112, section 3.2.2). */
const origin = /^https?:\/\/[^/]*/i;

/**
 * Answers with a page.
 *
 * @param base of the URLs in the answer.
 */
export function sendPage(reply: FastifyReply, page: StoredPage, base: string): FastifyReply {
  const url = `${base}${reply.request.url.replace(origin, '')}`;
  return sendResults(reply, headOf(page, url), page);
}

/**
 * Answers with an object whose last property is the results. Sends bytes: Fastify would measure a text before it is
 * encoded, and a text is slower to write. The results are encoded straight to their place, without a copy as text.
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

/** What stands before the results of a page: ASCII, as URLs are. */
function headOf({ next, previous, count }: StoredPage, url: string): string {
  const link = (cursor: StoredPage['next']) => {
    if (!cursor) return null;
    const target = new URL(url);
    target.searchParams.set('cursor', encodeCursor(cursor));
    return target.href;
  };
  return `${JSON.stringify({ count, next: link(next), previous: link(previous) }).slice(0, -1)},"results":[`;
}
