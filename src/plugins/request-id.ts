import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { compile } from '@fastify/proxy-addr';

/** Visible ASCII, at most 128 characters: safe in a header and in the log. */
const acceptedId = /^[\x21-\x7e]{1,128}$/;

/**
 * The first 24 characters of a UUID, random for each process. A counter fills the rest. The id is no secret: a client
 * that sees two ids can count the requests between them.
 */
const processPrefix = randomUUID().slice(0, 24);
let requests = 0;

function newId(): string {
  requests += 1;
  return processPrefix + requests.toString(16).padStart(12, '0');
}

/**
 * Returns a function that names a request. It takes the `X-Request-Id` of a trusted proxy and makes an id otherwise.
 *
 * @param trusted addresses and networks of proxies, as TRUST_PROXY lists them.
 */
export function requestIds(trusted: readonly string[]): (request: IncomingMessage) => string {
  if (trusted.length === 0) return newId;
  const isTrusted = compile([...trusted]);
  return ({ headers, socket }) => {
    const given = headers['x-request-id'];
    const peer = socket.remoteAddress;
    if (typeof given !== 'string' || !acceptedId.test(given) || peer === undefined) return newId();
    return isTrusted(peer, 0) ? given : newId();
  };
}
