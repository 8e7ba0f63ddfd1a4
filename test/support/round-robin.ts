import { once } from 'node:events';
import { Agent, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

export interface Backend {
  /** `http://127.0.0.1:port`. A restart changes the port. */
  url: string;
  isReady: boolean;
}

export interface RoundRobin {
  readonly url: string;
  readonly backends: readonly Backend[];
}

/** Milliseconds between two checks of `/health/ready`. */
const interval = 50;

/**
 * Starts a minimal load balancer. Each request goes to the next backend that was ready at its last check, over kept
 * connections. It retries nothing, so the client sees every failure of a backend.
 */
export async function startRoundRobin(urls: readonly string[]): Promise<RoundRobin> {
  const backends = urls.map((url): Backend => ({ url, isReady: true }));
  const agent = new Agent({ keepAlive: true });
  let turn = 0;
  const server = createServer((incoming, outgoing) => {
    const ready = backends.filter(({ isReady }) => isReady);
    const backend = ready[turn++ % ready.length];
    if (!backend) return void outgoing.writeHead(503).end('no backend is ready');
    const { method = 'GET', url = '/', headers } = incoming;
    const forwarded = send(`${backend.url}${url}`, { method, headers, agent }, (answer) => {
      const { connection, ...kept } = answer.headers;
      outgoing.writeHead(answer.statusCode ?? 502, kept);
      answer.pipe(outgoing);
    });
    forwarded.on('error', (error) => outgoing.headersSent || outgoing.writeHead(502).end(error.message));
    incoming.pipe(forwarded);
  });
  let isWatching = true;
  const watch = async (backend: Backend) => {
    while (isWatching) {
      const { url } = backend;
      const isReady = await fetch(`${url}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (url === backend.url) backend.isReady = isReady;
      await setTimeout(interval);
    }
  };
  for (const backend of backends) void watch(backend);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    isWatching = false;
    agent.destroy();
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, backends };
}
