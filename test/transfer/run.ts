import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { Exit } from '../support/process.js';

/** Runs the import or the export until it ends, with a text on its standard input. */
export async function run(
  command: 'import' | 'export',
  args: readonly string[],
  environment: Record<string, string>,
  input = '',
): Promise<Exit> {
  const program = fileURLToPath(new URL(`../../dist/cli/${command}.js`, import.meta.url));
  const child = spawn(process.execPath, [program, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH ?? '', ...environment },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      written[stream] += text;
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code, signal] = await once(child, 'close');
  return { code, signal, ...written };
}

/** The totals that an import printed, which must add up. */
export function totalsOf({ stdout, stderr }: Exit): Record<string, number> {
  const line =
    /^Read (\d+): (\d+) applied, (\d+) unchanged, (\d+) deleted .*, (\d+) ignored, (\d+) not taken in\.$/m.exec(stdout);
  expect(line, stderr).not.toBeNull();
  const [read = 0, applied = 0, unchanged = 0, deleted = 0, ignored = 0, bad = 0] = (line ?? []).slice(1).map(Number);
  expect(applied + unchanged + deleted + ignored + bad).toBe(read);
  return { read, applied, unchanged, deleted, ignored, bad };
}

/** A file that is removed after the test. */
export async function temporaryFile(name: string, content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'checkout-session-transfer-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

/** A path of the fixtures of this folder. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/transfer/${name}`, import.meta.url));
}

export function lines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}
