import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isNotModified, parsePrecondition } from '../model/etag.js';
import { type ConsoleFile, readConsoleFiles } from './console-files.js';

const hidden = { hide: true };

/**
 * Serves the page for people at `/console/`, and leads browsers there from `/`. The page holds nothing of the data: it asks
 * the API, with the key that the reader gives it.
 */
export async function servePageForPeople(app: FastifyInstance, { config }: { config: Config }): Promise<void> {
  let files: ReadonlyMap<string, ConsoleFile> | undefined;
  const fileOf = (name: string) => {
    files ??= readConsoleFiles({
      'needs-key': config.API_KEYS.length + config.API_READ_KEYS.length > 0,
      'can-refresh': config.STRIPE_API_KEYS.length > 0,
      'has-changes': app.hasRoute({ method: 'GET', url: '/api/changes' }),
    });
    return files.get(name);
  };

  await app.register(async (page) => {
    await page.register(helmet, pageHeaders);

    page.get('/console', { schema: hidden }, (request, reply) => {
      // The page names its files relative to this slash, so that it works behind a proxy that adds a path.
      const isFolder = pathOf(request).endsWith('/');
      return isFolder ? sendFile(request, reply, fileOf('index.html')) : reply.redirect('console/', 308);
    });

    page.get('/console/:file', { schema: hidden }, (request, reply) => {
      const { file } = request.params as { file: string };
      return sendFile(request, reply, file === 'index.html' ? undefined : fileOf(file));
    });
  });

  // Any other method of `/` is 404 as before: nothing is there.
  app.get('/', { schema: hidden, config: { answersOtherMethods: true } }, (request, reply) => {
    reply.header('vary', 'accept');
    if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) throw new Problem('not-found');
    return reply.redirect('console/', 302);
  });
}

const pathOf = ({ url }: FastifyRequest) => url.split('?', 1)[0] as string;

function sendFile(request: FastifyRequest, reply: FastifyReply, file: ConsoleFile | undefined): FastifyReply {
  if (!file) throw new Problem('not-found');
  const { type, body, gzipped, etag } = file;
  // Asked for again each time: another version of the service has other files under the same names.
  reply.headers({ 'cache-control': 'no-cache', etag, vary: 'accept-encoding' });
  if (isNotModified(parsePrecondition(request.headers), etag)) return reply.code(304).send();
  const isGzipped = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(String(request.headers['accept-encoding'] ?? ''));
  if (isGzipped) reply.header('content-encoding', 'gzip');
  return reply.type(type).send(isGzipped ? gzipped : body);
}

/**
 * The page runs its own scripts and styles, talks to this service, and never takes a text for HTML: with Trusted Types and
 * no policy, the browser refuses that wherever it is tried.
 */
const pageHeaders: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      objectSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
  },
  // Whether a whole host is https for years is for who terminates TLS to say.
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
};
