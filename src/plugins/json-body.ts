import { isUtf8 } from 'node:buffer';
import type { FastifyBodyParser, FastifyInstance } from 'fastify';
import { Problem } from '../errors.js';

/**
 * Returns a strict parser of JSON bodies. It refuses bytes that are not UTF-8, which decoding would replace silently.
 * Fastify's own parser, which it calls, refuses keys that would change a prototype.
 */
export function parseJson(app: FastifyInstance): FastifyBodyParser<Buffer> {
  const parse = app.getDefaultJsonParser('error', 'error');
  return (request, body, done) => {
    // Many clients send a Content-Type without a body, mostly with DELETE.
    if (body.length === 0 && !request.routeOptions.schema?.body) return done(null, undefined);
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && !/^ *identity *$/i.test(encoding)) return done(unsupported(encoding));
    if (!isUtf8(body)) return done(new Problem('malformed-request', { detail: 'The body is not UTF-8.' }));
    return parse(request, body.toString(), done);
  };
}

/** Returns the problem of a compressed body. Its header says which encoding to send (RFC 9110, section 15.5.16). */
function unsupported(encoding: string): Problem {
  const detail = `Content-Encoding: ${encoding} is not supported. Send the JSON uncompressed.`;
  return new Problem('unsupported-media-type', { detail, headers: { 'accept-encoding': 'identity' } });
}

/** Accepts JSON bodies only. Without this, Fastify accepts `text/plain` too. */
export function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parseJson(app));
}
