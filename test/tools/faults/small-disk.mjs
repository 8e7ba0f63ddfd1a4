/** A file system of a few megabytes in memory, to fill to the last byte. Only root on Linux can mount one. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Mounts a small disk.
 *
 * @param {string} path @param {number} megabytes
 * @returns undefined when this user cannot mount one
 */
export function makeSmallDisk(path, megabytes) {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', path], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  const ballast = join(path, 'ballast');
  const remove = () => {
    process.off('exit', remove);
    // Lazily: a server that is ending may still have files open.
    execFileSync('umount', ['-l', path]);
  };
  process.prependOnceListener('exit', remove);
  return {
    path,
    /** Fills the disk to the last byte. */
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (const size of [1024 * 1024, 4096]) writeUntilFull(file, Buffer.alloc(size));
      } finally {
        closeSync(file);
      }
    },
    empty: () => rmSync(ballast, { force: true }),
    remove,
  };
}

/** @typedef {NonNullable<ReturnType<typeof makeSmallDisk>>} SmallDisk */

/** @param {number} file @param {Buffer} bytes */
function writeUntilFull(file, bytes) {
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOSPC') throw error;
  }
}
