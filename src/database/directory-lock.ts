import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/**
 * Takes a folder for this process alone, by listening on a local socket in it. The operating system lets go
 * of it however the process ends, so neither kill -9 nor a pid used again leaves the folder locked.
 *
 * @returns a function that lets go of the folder.
 * @throws when another process holds it.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = socketPath(directory);
  const server = createServer((socket) => socket.destroy());
  if (!(await listen(server, path))) {
    if (await isAlive(path)) throw new DirectoryInUse(directory);
    // Left by a process that was killed. Of two that find it at once the later takes it: look again.
    await rm(path, { force: true });
    if (!(await listen(server, path))) throw new DirectoryInUse(directory);
    const { ino } = await stat(path);
    await setTimeout(50);
    if ((await stat(path)).ino !== ino) throw new DirectoryInUse(directory);
  }
  server.unref();
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

export class DirectoryInUse extends Error {
  constructor(directory: string) {
    super(
      `Another process has the embedded database in ${directory} open, and only one at a time can. Stop it, or choose another folder with DATA_DIR, or use a PostgreSQL server with DATABASE_URL.`,
    );
    this.name = 'DirectoryInUse';
  }
}

/** What fits into a socket's address on every system (macOS has 104 bytes with the final zero). */
const maxSocketPath = 103;

function socketPath(directory: string): string {
  const absolute = resolve(directory);
  const digest = createHash('sha256').update(absolute).digest('hex').slice(0, 32);
  if (process.platform === 'win32') return `\\\\.\\pipe\\checkout-session-service-${digest}`;
  const inside = join(absolute, 'lock');
  const shortest = [inside, relative('.', inside)].find((path) => Buffer.byteLength(path) <= maxSocketPath);
  return shortest ?? join(tmpdir(), `checkout-session-service-${digest}`);
}

async function listen(server: Server, path: string): Promise<boolean> {
  server.listen(path);
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

async function isAlive(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    // Refused: nobody listens. Gone: it has just been let go of.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}
