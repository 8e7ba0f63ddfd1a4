import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// Its exit handler kills the children first. Only then are their folders removed.
import './child.mjs';

/** @type {Set<string>} */
const directories = new Set();
process.on('exit', () => directories.forEach(removeDirectory));

/** Makes a temporary folder, which is removed when this process exits. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'checkout-session-tool-'));
  // A PostgreSQL server in it may run as another user.
  chmodSync(directory, 0o755);
  directories.add(directory);
  return directory;
}

/** Removes a temporary folder now. @param {string} directory */
export function removeDirectory(directory) {
  directories.delete(directory);
  // A child that was killed a moment ago may still write files.
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
}
