import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Bytes on a bare socket, where an HTTP client would tidy them first. */

export interface Received {
  /** Of each answer that came. */
  statuses: number[];
  text: string;
}

/** How long an open connection may stay silent until what came is all that comes, in milliseconds. */
const quiet = 500;

export function open(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

/** What a socket receives until it is closed, or silent. */
export async function received(socket: Socket): Promise<Received> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.setTimeout(quiet, () => {
    // Silence before the first answer is patience.
    if (text !== '') socket.destroy();
  });
  if (!socket.destroyed) await once(socket, 'close');
  return { statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)), text };
}

/** Sends bytes and gives what comes back. */
export function exchange(url: string, bytes: string | Buffer): Promise<Received> {
  const socket = open(url);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return received(socket);
}

/** A request as HTTP/1.1 writes it. */
export function request(method: string, path: string, headers: string[], body = ''): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n');
}
