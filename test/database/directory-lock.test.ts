import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DirectoryInUse, lockDirectory } from '../../src/database/engine/directory-lock.js';

async function temporaryDirectory(...below: string[]): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'lock-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const directory = join(root, ...below);
  await mkdir(directory, { recursive: true });
  return directory;
}

/**
 * Starts another process that locks a directory. It prints `locked` and stays, or prints the error's name and exits.
 */
async function otherProcess(directory: string, cwd = tmpdir()): Promise<{ child: ChildProcess; answer: string }> {
  const module = new URL('../../dist/database/engine/directory-lock.js', import.meta.url);
  const script = `import { lockDirectory } from ${JSON.stringify(module.href)};
    try {
      await lockDirectory(${JSON.stringify(directory)});
      setInterval(() => {}, 1000);
      console.log('locked');
    } catch (error) {
      console.log(error.name + ' ' + (error.code ?? ''));
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => kill(child));
  const [answer] = await once(child.stdout.setEncoding('utf8'), 'data');
  return { child, answer: answer.trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Locks a directory until the test finishes. */
async function lock(directory: string): Promise<void> {
  const unlock = await lockDirectory(directory);
  onTestFinished(unlock);
}

test('one lock holds a directory at a time, and unlocking frees it', async () => {
  const directory = await temporaryDirectory();
  const unlock = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
  await unlock();
  await lock(directory);
});

test('the refusal names the directory and the alternatives', async () => {
  const directory = await temporaryDirectory();
  await lock(directory);
  const error: Error = await lockDirectory(directory).then(
    () => new Error('locked twice'),
    (reason) => reason,
  );
  for (const word of [directory, 'DATA_DIR', 'DATABASE_URL']) expect(error.message).toContain(word);
});

test('a refused attempt leaves the lock in place', async () => {
  const directory = await temporaryDirectory();
  await lock(directory);
  for (let trial = 0; trial < 3; trial += 1) await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
});

test('locks on different directories are independent', async () => {
  await lock(await temporaryDirectory());
  await lock(await temporaryDirectory());
});

test('another process is refused', async () => {
  const directory = await temporaryDirectory();
  await lock(directory);
  expect((await otherProcess(directory)).answer).toContain('DirectoryInUse');
});

test('the lock of a killed process is taken over at once', async () => {
  const directory = await temporaryDirectory();
  const { child, answer } = await otherProcess(directory);
  expect(answer).toBe('locked');
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
  await kill(child);
  expect((await stat(join(directory, 'lock'))).isSocket()).toBe(true);
  await lock(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
});

test.each([1, 2, 3])('of four processes that find a stale lock, one takes it and three exit (round %i)', async () => {
  const directory = await temporaryDirectory();
  await kill((await otherProcess(directory)).child);
  const others = await Promise.all([1, 2, 3, 4].map(() => otherProcess(directory)));
  const answers = others.map(({ answer }) => answer).sort();
  expect(answers.filter((answer) => answer === 'locked')).toHaveLength(1);
  expect(answers.filter((answer) => answer.startsWith('DirectoryInUse'))).toHaveLength(3);
  const refused = others.filter(({ answer }) => answer !== 'locked');
  for (const { child } of refused) await expect.poll(() => child.exitCode).toBe(0);
  // The processes that exited did not remove the lock.
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
});

const long = ['a'.repeat(100), 'b'.repeat(100), 'c'.repeat(100)];

test('a directory whose path is too long for a socket can be locked', async () => {
  const directory = await temporaryDirectory(...long);
  const unlock = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
  await lock(await temporaryDirectory(...long));
  await unlock();
  await lock(directory);
});

test('a long path is the same lock for processes with different working directories', async () => {
  const directory = await temporaryDirectory(...long);
  const { answer } = await otherProcess(directory, directory);
  expect(answer).toBe('locked');
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
});

test('the lock on a long path is taken over after a kill', async () => {
  const directory = await temporaryDirectory(...long);
  await kill((await otherProcess(directory)).child);
  await lock(directory);
});
