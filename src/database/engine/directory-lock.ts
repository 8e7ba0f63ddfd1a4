import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OperatorError } from '../../errors.js';

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
  if (!(await listen(server, path)) && !(await takeOver(server, path))) throw new DirectoryInUse(directory);
  server.unref();
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

/**
 * Listens in the place of a process that was killed. Of those that find what it left at once, only the one that
 * makes the folder beside it goes on.
 *
 * @returns false when another process holds the path or is taking it over.
 */
async function takeOver(server: Server, path: string): Promise<boolean> {
  if (process.platform === 'win32') return false; // Pipes go with their process.
  const turn = `${path}.turn`;
  try {
    await mkdir(turn);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!(await isForgotten(turn))) return false;
  }
  try {
    if (await isAlive(path)) return false;
    await rm(path, { force: true });
    return await listen(server, path);
  } finally {
    await rm(turn, { recursive: true, force: true });
  }
}

/** Milliseconds after which a turn was left by a process that was killed in it. */
const turnTimeout = 10_000;

async function isForgotten(turn: string): Promise<boolean> {
  const { mtimeMs } = await stat(turn).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > turnTimeout;
}

export class DirectoryInUse extends OperatorError {
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
  if (Buffer.byteLength(inside) <= maxSocketPath) return inside;
  return join(tmpdir(), `checkout-session-service-${digest}`);
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
