import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/**
 * Makes a server listen on a free port of 127.0.0.1.
 *
 * @param {import('node:net').Server} server
 * @returns {Promise<number>} the port
 */
export async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

/** Returns a port of 127.0.0.1 on which nothing listens. Another program may take it before its user does. */
export async function freePort() {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Milliseconds that a start may take. On a busy machine, creating the embedded database takes a minute. */
const startLimit = 180_000;

/**
 * Waits until a program that is starting accepts requests.
 *
 * @param {string} url
 * @param {() => boolean} isRunning
 * @param {(response: Response) => boolean} [isAccepted] whether an answer shows that the program has started
 * @throws when the program ends first, or is not ready in time
 */
export async function untilReady(url, isRunning, isAccepted = ({ ok }) => ok) {
  const end = performance.now() + startLimit;
  while (performance.now() < end) {
    if (!isRunning()) throw new Error('the process ended');
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response && isAccepted(response)) return;
    await setTimeout(20);
  }
  throw new Error(`${url} is not ready after ${startLimit / 1000} s`);
}
