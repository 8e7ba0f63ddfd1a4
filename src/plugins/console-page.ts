import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { Problem } from '../errors.js';
import { isNotModified, parsePrecondition } from '../model/etag.js';
import { type ConsoleFile, readConsoleFiles } from './console-files.js';

const hidden = { hide: true };

/**
 * Serves the console at `/console/` and redirects browsers there from `/`. The page holds no data: it calls the API with
 * the key that its user enters.
 */
export async function serveConsole(app: FastifyInstance, { config }: { config: Config }): Promise<void> {
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
      // The page's URLs are relative to this slash, so that it works behind a proxy that adds a path.
      const isFolder = pathOf(request).endsWith('/');
      return isFolder ? sendFile(request, reply, fileOf('index.html')) : reply.redirect('console/', 308);
    });

    page.get('/console/:file', { schema: hidden }, (request, reply) => {
      const { file } = request.params as { file: string };
      return sendFile(request, reply, file === 'index.html' ? undefined : fileOf(file));
    });
  });

  // Other methods of `/` answer 404 and not 405: without the redirect the path does not exist.
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
  // Browsers revalidate each time: another version of the service has other files under the same names.
  reply.headers({ 'cache-control': 'no-cache', etag, vary: 'accept-encoding' });
  if (isNotModified(parsePrecondition(request.headers), etag)) return reply.code(304).send();
  const isGzipped = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(String(request.headers['accept-encoding'] ?? ''));
  if (isGzipped) reply.header('content-encoding', 'gzip');
  return reply.type(type).send(isGzipped ? gzipped : body);
}

/**
 * Headers of the page. It loads scripts and styles from this service only and calls this service only. With Trusted Types
 * and no policy, the browser refuses every attempt to parse text as HTML.
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
  // The proxy that terminates TLS decides whether the whole host is https for years.
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
};
