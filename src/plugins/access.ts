import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { type Config, isLoopback } from '../config.js';
import { Problem } from '../errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Not for keys that only read. */
    needsFullAccess?: boolean;
  }
}

/**
 * Who may use the API: holders of a key; without keys, programs on this machine; anyone only when
 * ALLOW_ANONYMOUS says so.
 *
 * @returns the check, to be an `onRequest` hook of the scope it guards. It throws the problem.
 */
export function accessCheck(config: Config): (request: FastifyRequest) => void {
  if (config.ALLOW_ANONYMOUS) return () => {};
  if (config.API_KEYS.length + config.API_READ_KEYS.length > 0) return keyCheck(config);
  if (!isLoopback(config.HOST)) throw new Error('no keys, and an address that others can reach');
  return checkLocal;
}

/**
 * Who may read the metrics: who may use the API, except that ALLOW_ANONYMOUS opens the API and not these to whoever can
 * reach the service.
 *
 * @returns the check, as `accessCheck` does.
 */
export function metricsCheck(config: Config): (request: FastifyRequest) => void {
  if (!config.ALLOW_ANONYMOUS || isLoopback(config.HOST)) return accessCheck(config);
  return () => {
    throw unauthorized('The metrics need a key, and there is none: set API_READ_KEYS in place of ALLOW_ANONYMOUS.');
  };
}

function unauthorized(detail?: string): Problem {
  return new Problem('unauthorized', { headers: { 'www-authenticate': 'Bearer' }, ...(detail && { detail }) });
}

const readMethods = ['GET', 'HEAD'];

function keyCheck({ API_KEYS, API_READ_KEYS }: Config): (request: FastifyRequest) => void {
  const full = API_KEYS.map(digest);
  const read = API_READ_KEYS.map(digest);
  return ({ headers, method, routeOptions }) => {
    const [, key] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
    const given = digest(key ?? '');
    if (key !== undefined && holds(full, given)) return;
    if (key === undefined || !holds(read, given)) throw unauthorized();
    if (!readMethods.includes(method) || routeOptions.config.needsFullAccess)
      throw new Problem('forbidden', { detail: 'This key reads sessions and nothing else.' });
  };
}

/** Digests have one length, so that comparing them takes the same time whatever the key. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function holds(keys: readonly Buffer[], given: Buffer): boolean {
  return keys.reduce((found, key) => timingSafeEqual(key, given) || found, false);
}

const localHost = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const forwardedHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];

/**
 * Loopback keeps other machines out, not the web pages in a browser on this one, nor a proxy here that
 * serves others. A page's own request says so in Origin or Sec-Fetch-Site; after DNS rebinding, in Host.
 */
function checkLocal({ headers }: FastifyRequest): void {
  if (!localHost.test(headers.host ?? '')) throw new Problem('misdirected-request');
  const proxied = forwardedHeaders.find((name) => headers[name] !== undefined);
  if (proxied) {
    throw new Problem('forbidden', {
      detail: `The request came through a proxy (${proxied}), and without API_KEYS the service is for this machine alone.`,
    });
  }
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const sameOrigin = origin === undefined || origin.toLowerCase() === `http://${headers.host}`.toLowerCase();
  if (!sameOrigin || site === 'cross-site' || site === 'same-site') {
    throw new Problem('forbidden', {
      detail: 'The request came from a web page of another site, and without API_KEYS those are refused.',
    });
  }
}
