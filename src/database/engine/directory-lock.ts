import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OperatorError } from '../../errors.js';

/**
 * Locks a folder for this process by listening on a local socket in it. The operating system closes the socket however the
 * process ends, so neither `kill -9` nor a reused process id leaves the folder locked.
 *
 * @returns a function that unlocks the folder.
 * @throws DirectoryInUse when another process holds the lock.
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
 * Replaces the socket file that a killed process left behind. Several processes may find it at the same time. Creating the
 * takeover folder is atomic, so only one of them continues: without it one process could delete the socket of another.
 *
 * @returns false when another process listens on the path or is taking it over.
 */
async function takeOver(server: Server, path: string): Promise<boolean> {
  if (process.platform === 'win32') return false; // A named pipe ends with its process.
  const takeoverFolder = `${path}.turn`;
  try {
    await mkdir(takeoverFolder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!(await isAbandoned(takeoverFolder))) return false;
  }
  try {
    if (await isListening(path)) return false;
    await rm(path, { force: true });
    return await listen(server, path);
  } finally {
    await rm(takeoverFolder, { recursive: true, force: true });
  }
}

/** Milliseconds after which a takeover folder counts as abandoned: its process was killed during the takeover. */
const takeoverTimeout = 10_000;

async function isAbandoned(takeoverFolder: string): Promise<boolean> {
  const { mtimeMs } = await stat(takeoverFolder).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > takeoverTimeout;
}

export class DirectoryInUse extends OperatorError {
  constructor(directory: string) {
    super(
      `Another process uses the embedded database in ${directory}, and only one process at a time can. Stop that process, choose another folder with DATA_DIR, or use a PostgreSQL server with DATABASE_URL.`,
    );
    this.name = 'DirectoryInUse';
  }
}

/** Maximum bytes of a socket's path on every system. macOS has 104 bytes, including the final zero. */
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

async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    // ECONNREFUSED: no process listens. ENOENT: its process has just unlocked the folder.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}
