import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { docsTheme } from './docs-theme.js';

/** Serves Swagger UI at `/docs`, with assets of its own. */
export async function serveDocsPage(app: FastifyInstance, { publicUrl }: { publicUrl: string | undefined }) {
  await app.register(helmet, docsHeaders(publicUrl));
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    logo: { type: 'image/svg+xml', content: '<svg xmlns="http://www.w3.org/2000/svg"/>' },
    theme: docsTheme,
    uiConfig: {
      docExpansion: 'list',
      deepLinking: true,
      validatorUrl: null,
      syntaxHighlight: { theme: 'obsidian' },
    },
  });
}

/**
 * Returns the headers of the page. It runs its own scripts and calls this service. Swagger UI uses inline styles, and
 * icons in `data:` URLs.
 */
function docsHeaders(publicUrl: string | undefined): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'", ...(publicUrl ? [new URL(publicUrl).origin] : [])],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // The proxy that terminates TLS decides whether the whole host is https for years.
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  };
}
