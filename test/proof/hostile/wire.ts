import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Sends bytes over a bare socket, because an HTTP client would correct them first. */

export interface Received {
  /** The status of each answer. */
  statuses: number[];
  text: string;
}

/** Milliseconds of silence after which an open connection is taken to have sent everything. */
const quiet = 500;

export function open(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

/** Resolves to everything a socket receives until it closes or falls silent. */
export async function received(socket: Socket): Promise<Received> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.setTimeout(quiet, () => {
    // Before the first answer, keep waiting.
    if (text !== '') socket.destroy();
  });
  if (!socket.destroyed) await once(socket, 'close');
  return { statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)), text };
}

/** Sends bytes and resolves to the answers. */
export function exchange(url: string, bytes: string | Buffer): Promise<Received> {
  const socket = open(url);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return received(socket);
}

/** Writes a request in HTTP/1.1 syntax. */
export function request(method: string, path: string, headers: string[], body = ''): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n');
}
