import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll } from 'vitest';

/** A proxy between the service and its database that fails on demand. */
export interface TcpProxy {
  /** The URL of the database through this proxy. */
  readonly url: string;
  /** Forwards everything. The initial state. */
  open(): Promise<void>;
  /** Cuts every connection and refuses new ones, like a server that is down. */
  refuse(): Promise<void>;
  /** Keeps connections, accepts new ones and drops every byte, like a network that loses packets. */
  silence(): void;
}

/** Starts a proxy in front of a server and stops it after the file. */
export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let isSilent = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => isSilent || to.write(chunk));
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    if (!server.listening) return;
    server.close();
    cut();
    await once(server, 'close');
  };
  afterAll(close);
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port}`;
  return {
    url: url.href,
    async open() {
      // Bytes sent during the silence are lost, so the protocol state of these connections is broken.
      if (isSilent) cut();
      isSilent = false;
      if (server.listening) return;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    refuse: close,
    silence() {
      isSilent = true;
    },
  };
}
