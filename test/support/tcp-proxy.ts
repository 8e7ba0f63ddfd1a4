import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll } from 'vitest';

/** What stands between the service and its database, and fails on demand. */
export interface TcpProxy {
  /** The URL of the database by way of here. */
  readonly url: string;
  /** Passes everything on, as at first. */
  open(): Promise<void>;
  /** Cuts every connection and refuses new ones, as a server that is down. */
  refuse(): Promise<void>;
  /** Keeps every connection, takes new ones and says nothing, as a network that loses packets. */
  silence(): void;
}

/** Starts a proxy in front of a PostgreSQL; stopped after the file. */
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
      // What was said into the silence is lost, so its connections are of no use any more.
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
