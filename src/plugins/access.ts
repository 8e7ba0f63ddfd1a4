import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { type Config, isLoopback } from '../config.js';
import { type ApiKey, apiKeys } from '../config-secrets.js';
import { Problem } from '../errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Refuses keys with read access only. */
    needsFullAccess?: boolean;
  }
  interface FastifyRequest {
    /** The holder of the request's key, once it was looked up. */
    keyHolder?: KeyHolder | undefined;
  }
}

/**
 * Returns the access check of the API, for an `onRequest` hook. The check throws a Problem. With ALLOW_ANONYMOUS it accepts
 * everyone. With keys it accepts their holders. Otherwise it accepts programs on this machine.
 *
 * @throws Error when there are no keys, and other machines can reach the address.
 */
export function accessCheck(config: Config): (request: FastifyRequest) => void {
  if (config.ALLOW_ANONYMOUS) return () => {};
  if (config.API_KEYS.length + config.API_READ_KEYS.length > 0) return keyCheck(config);
  if (!isLoopback(config.HOST)) throw new Error('there are no keys, and other machines can reach the address');
  return localCheck(config.CORS_ORIGINS);
}

/** Returns the access check of the metrics: that of the API, but ALLOW_ANONYMOUS does not open them to other machines. */
export function metricsCheck(config: Config): (request: FastifyRequest) => void {
  if (!config.ALLOW_ANONYMOUS || isLoopback(config.HOST)) return accessCheck(config);
  return () => {
    throw unauthorized(
      'The metrics need a key, and no key is configured: set API_READ_KEYS in place of ALLOW_ANONYMOUS.',
    );
  };
}

function unauthorized(detail?: string): Problem {
  return new Problem('unauthorized', { headers: { 'www-authenticate': 'Bearer' }, ...(detail && { detail }) });
}

const readMethods = ['GET', 'HEAD'];

function keyCheck(config: Config): (request: FastifyRequest) => void {
  const holderOf = createKeyLookup(config);
  return (request) => {
    const holder = holderOf(request);
    if (!holder) throw unauthorized();
    if (holder.hasFullAccess) return;
    if (!readMethods.includes(request.method) || request.routeOptions.config.needsFullAccess)
      throw new Problem('forbidden', { detail: 'This key has read access to sessions only.' });
  };
}

/** The name and the access of a configured key, without the key itself. */
export type KeyHolder = Omit<ApiKey, 'key'>;

/** Clients of Django REST Framework send the scheme Token. */
const credentials = /^(?:Bearer|Token) +(\S+) *$/i;

const keyOf = ({ headers }: FastifyRequest) => credentials.exec(headers.authorization ?? '')?.[1];

/**
 * Returns a function that looks up the holder of a request's key. The request keeps the first holder found, and every later
 * call returns it. The function returns undefined for a missing or unknown key.
 *
 * @param read reads the key of a request.
 */
export function createKeyLookup(
  config: Pick<Config, 'API_KEYS' | 'API_READ_KEYS'>,
  read: (request: FastifyRequest) => string | undefined = keyOf,
): (request: FastifyRequest) => KeyHolder | undefined {
  // Keys with full access come last: a key in both lists has full access.
  const holders = new Map(apiKeys(config).map(({ key, ...holder }) => [digest(key), holder]));
  return (request) => {
    const key = read(request);
    if (key !== undefined) request.keyHolder ??= holders.get(digest(key));
    return request.keyHolder;
  };
}

/**
 * Returns the digest by which a key is looked up. The time of a lookup depends on the digest's hash in the map, so it reveals
 * nothing about the key. It does not reveal the digest either, because V8 seeds the hash in each process. Comparing buffers
 * instead would add 4 µs to each request (Node 20).
 */
function digest(key: string): string {
  return hash('sha256', key);
}

/** Returns how often a request sends a header. For headers such as Host, Node's `headers` holds the first one only. */
export function timesSent({ raw: { rawHeaders } }: FastifyRequest, name: string): number {
  let times = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === name.length && rawHeaders[index]?.toLowerCase() === name) times += 1;
  }
  return times;
}

/**
 * Refuses a request with two Host headers (RFC 9112, section 3.2). Node reads the first one, and a proxy in front may have
 * read the other.
 */
export function refuseTwoHosts(request: FastifyRequest): void {
  if (timesSent(request, 'host') > 1) throw new Problem('malformed-request', { detail: 'There are two Host headers.' });
}

/** Refuses an invalid Host header (RFC 9112, section 3.2) where URLs in the response contain the host. */
export function refuseInvalidHost({ host }: FastifyRequest): void {
  // A request of HTTP/1.0 may lack the header.
  if (host === '') return;
  const isHost = !/[/\\?#@]/.test(host) && URL.canParse(`http://${host}`);
  if (!isHost) throw new Problem('malformed-request', { detail: 'The Host header is not a valid host.' });
}

const localHost = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const forwardedHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];

/**
 * Returns the check for a service without keys on loopback. Loopback keeps other machines out. It does not keep out web
 * pages in a browser on this machine, nor a local proxy that serves other machines. Origin or Sec-Fetch-Site reveals the
 * request of a page. After DNS rebinding, Host does.
 *
 * @param origins origins whose pages are allowed.
 */
function localCheck(origins: readonly string[]): (request: FastifyRequest) => void {
  return ({ headers }) => {
    if (!localHost.test(headers.host ?? '')) throw new Problem('misdirected-request');
    const proxied = forwardedHeaders.find((name) => headers[name] !== undefined);
    if (proxied) {
      throw new Problem('forbidden', {
        detail: `The request came through a proxy (${proxied}). Without API_KEYS the service accepts requests from this machine only.`,
      });
    }
    const { origin } = headers;
    if (origin !== undefined && origins.includes(origin)) return;
    const site = headers['sec-fetch-site'];
    const sameOrigin = origin === undefined || origin.toLowerCase() === `http://${headers.host}`.toLowerCase();
    if (!sameOrigin || site === 'cross-site' || site === 'same-site') {
      throw new Problem('forbidden', {
        detail: 'The request came from a web page of another site. Without API_KEYS the service refuses such requests.',
      });
    }
  };
}
