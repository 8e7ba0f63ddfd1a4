import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { type Config, isLoopback } from '../config.js';
import { type ApiKey, apiKeys } from '../config-secrets.js';
import { Problem } from '../errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Not for keys that only read. */
    needsFullAccess?: boolean;
  }
  interface FastifyRequest {
    /** Whose key the request carries, once that was asked. */
    keyHolder?: KeyHolder | undefined;
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
  return localCheck(config.CORS_ORIGINS);
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

function keyCheck(config: Config): (request: FastifyRequest) => void {
  const holderOf = keyHolder(config);
  return (request) => {
    const holder = holderOf(request);
    if (!holder) throw unauthorized();
    if (holder.hasFullAccess) return;
    if (!readMethods.includes(request.method) || request.routeOptions.config.needsFullAccess)
      throw new Problem('forbidden', { detail: 'This key reads sessions and nothing else.' });
  };
}

/** One of the configured keys, without the key. */
export type KeyHolder = Omit<ApiKey, 'key'>;

/** The schemes that a key is taken with: Token is what clients of Django REST Framework send. */
const credentials = /^(?:Bearer|Token) +(\S+) *$/i;

const keyOf = ({ headers }: FastifyRequest) => credentials.exec(headers.authorization ?? '')?.[1];

/**
 * @param read reads the key of a request.
 * @returns what tells whose key a request carries, and notes it there; undefined without a configured key.
 */
export function keyHolder(
  config: Pick<Config, 'API_KEYS' | 'API_READ_KEYS'>,
  read: (request: FastifyRequest) => string | undefined = keyOf,
): (request: FastifyRequest) => KeyHolder | undefined {
  // Full keys come last: a key that stands in both lists has full access.
  const holders = new Map(apiKeys(config).map(({ key, ...holder }) => [digest(key), holder]));
  return (request) => {
    const key = read(request);
    if (key !== undefined) request.keyHolder ??= holders.get(digest(key));
    return request.keyHolder;
  };
}

/**
 * Keys are compared by digest: how long a lookup takes says nothing of a key, and of a digest no more than its hash in
 * the map, which V8 seeds anew for each process. Comparing buffers would cost each request 4 µs more (Node 20).
 */
function digest(key: string): string {
  return hash('sha256', key);
}

/** Returns how often a request sends a header. Node keeps the first of several that may stand only once. */
export function timesSent({ raw: { rawHeaders } }: FastifyRequest, name: string): number {
  let times = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === name.length && rawHeaders[index]?.toLowerCase() === name) times += 1;
  }
  return times;
}

/**
 * Refuses a request that names two hosts (RFC 9112, section 3.2): Node takes the first, a proxy before it may have taken
 * the other.
 */
export function refuseTwoHosts(request: FastifyRequest): void {
  if (timesSent(request, 'host') > 1) throw new Problem('malformed-request', { detail: 'There are two Host headers.' });
}

/** Refuses a Host that is none, as servers must (RFC 9112, section 3.2): the URLs in answers are made of it. */
export function refuseNoHost({ host }: FastifyRequest): void {
  // A request of HTTP/1.0 may have none.
  if (host === '') return;
  const isHost = !/[/\\?#@]/.test(host) && URL.canParse(`http://${host}`);
  if (!isHost) throw new Problem('malformed-request', { detail: 'The Host header names no host.' });
}

const localHost = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const forwardedHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];

/**
 * Loopback keeps other machines out, not the web pages in a browser on this one, nor a proxy here that
 * serves others. A page's own request says so in Origin or Sec-Fetch-Site; after DNS rebinding, in Host.
 *
 * @param origins whose pages are let in nevertheless.
 */
function localCheck(origins: readonly string[]): (request: FastifyRequest) => void {
  return ({ headers }) => {
    if (!localHost.test(headers.host ?? '')) throw new Problem('misdirected-request');
    const proxied = forwardedHeaders.find((name) => headers[name] !== undefined);
    if (proxied) {
      throw new Problem('forbidden', {
        detail: `The request came through a proxy (${proxied}), and without API_KEYS the service is for this machine alone.`,
      });
    }
    const { origin } = headers;
    if (origin !== undefined && origins.includes(origin)) return;
    const site = headers['sec-fetch-site'];
    const sameOrigin = origin === undefined || origin.toLowerCase() === `http://${headers.host}`.toLowerCase();
    if (!sameOrigin || site === 'cross-site' || site === 'same-site') {
      throw new Problem('forbidden', {
        detail: 'The request came from a web page of another site, and without API_KEYS those are refused.',
      });
    }
  };
}
