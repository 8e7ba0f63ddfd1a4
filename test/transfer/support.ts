import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Exit } from '../support/process.js';

/** Returns the totals an import printed, and expects them to add up. */
export function totalsOf({ stdout, stderr }: Exit): Record<string, number> {
  const line = /^Read (\d+): (\d+) applied, (\d+) unchanged, (\d+) deleted .*, (\d+) ignored, (\d+) failed\.$/m.exec(
    stdout,
  );
  expect(line, stderr).not.toBeNull();
  const [read = 0, applied = 0, unchanged = 0, deleted = 0, ignored = 0, bad = 0] = (line ?? []).slice(1).map(Number);
  expect(applied + unchanged + deleted + ignored + bad).toBe(read);
  return { read, applied, unchanged, deleted, ignored, bad };
}

/** Writes a file that is removed after the test. */
export async function temporaryFile(name: string, content: string | Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-transfer-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

/** Returns the path of a file in test/fixtures/transfer. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/transfer/${name}`, import.meta.url));
}

export function ndjson(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}
