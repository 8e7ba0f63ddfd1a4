import { isUtf8 } from 'node:buffer';
import type { FastifyBodyParser, FastifyInstance } from 'fastify';
import { Problem } from '../errors.js';

/**
 * Parses a JSON body strictly: bytes that are not UTF-8 would otherwise be replaced in silence, and keys
 * that reach for a prototype are refused by Fastify's own parser.
 */
export function parseJson(app: FastifyInstance): FastifyBodyParser<Buffer> {
  const parse = app.getDefaultJsonParser('error', 'error');
  return (request, body, done) => {
    // Many clients send the type where there is no body to send, on DELETE above all.
    if (body.length === 0 && !request.routeOptions.schema?.body) return done(null, undefined);
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && !/^ *identity *$/i.test(encoding)) return done(unsupported(encoding));
    if (!isUtf8(body)) return done(new Problem('malformed-request', { detail: 'The body is not UTF-8.' }));
    return parse(request, body.toString(), done);
  };
}

/** The problem of a body that is compressed, with what to send instead (RFC 9110, section 15.5.16). */
function unsupported(encoding: string): Problem {
  const detail = `Content-Encoding: ${encoding} is not supported; send the JSON as it is.`;
  return new Problem('unsupported-media-type', { detail, headers: { 'accept-encoding': 'identity' } });
}

/** Takes JSON and nothing else: Fastify's own `text/plain` is a 415 here. */
export function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parseJson(app));
}
