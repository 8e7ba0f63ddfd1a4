import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/** The networks behind the names that TRUST_PROXY takes, as proxy-addr has them. */
const named: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

const sane = /^[\x21-\x7e]{1,128}$/;

/**
 * A UUID: random for the process, counted for the request. It names a request and protects nothing: who sees two can tell
 * how many came between.
 */
const ofProcess = randomUUID().slice(0, 24);
let requests = 0;

function newId(): string {
  requests += 1;
  return ofProcess + requests.toString(16).padStart(12, '0');
}

/**
 * @param trusted addresses and networks of proxies.
 * @returns what gives a request its id: that of its `X-Request-Id` when a trusted proxy sent it, else a new one.
 */
export function requestIds(trusted: readonly string[]): (request: IncomingMessage) => string {
  if (trusted.length === 0) return newId;
  const proxies = new BlockList();
  for (const network of trusted.flatMap((entry) => named[entry] ?? entry)) {
    const [address = '', prefix] = network.split('/');
    const family = familyOf(address);
    proxies.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return ({ headers, socket }) => {
    const given = headers['x-request-id'];
    const peer = socket.remoteAddress;
    if (typeof given !== 'string' || !sane.test(given) || peer === undefined) return newId();
    return proxies.check(peer, familyOf(peer)) ? given : newId();
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
