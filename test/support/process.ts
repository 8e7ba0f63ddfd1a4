import { type ChildProcess, fork, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const server = fileURLToPath(new URL('../../dist/server.js', import.meta.url));

/** How a process ended, with everything it wrote. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface LogLine {
  level: string;
  msg: string;
  [property: string]: unknown;
}

/** A running `node dist/server.js`. */
export interface ServiceProcess {
  /** `http://127.0.0.1:port` */
  url: string;
  output(): string;
  /** Resolves when the output contains `text`. Rejects when the process ends first. */
  until(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  exited: Promise<Exit>;
}

/**
 * Node options for processes that a test starts. They live for seconds, so optimizing the WebAssembly of the embedded
 * database would cost more CPU time than it saves.
 */
const nodeOptions = ['--liftoff-only'];

const living = new Set<ChildProcess>();
const killAll = () => {
  for (const child of living) child.kill('SIGKILL');
};
process.on('exit', killAll);

function launch(environment: Record<string, string>) {
  // Pass only PATH, so that this machine's environment changes nothing. Run elsewhere, so that ./data is not created
  // here.
  const child = spawn(process.execPath, [...nodeOptions, server], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH ?? '', PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  const written = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.stderr += text;
  });
  const exited = once(child, 'close').then(([code, signal]): Exit => {
    living.delete(child);
    return { code, signal, ...written };
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });

  async function until(text: string): Promise<void> {
    const ended = exited.then(() => true);
    while (!written.stdout.includes(text)) {
      if (await Promise.race([ended, once(child.stdout, 'data').then(() => false)])) {
        throw new Error(`the process ended before it wrote ${text}:\n${written.stdout}${written.stderr}`);
      }
    }
  }
  return { child, written, exited, until };
}

/** Starts the service and waits until it listens. Kills it after the test if it still runs. */
export async function startProcess(environment: Record<string, string>): Promise<ServiceProcess> {
  const service = launchProcess(environment);
  await service.until('"msg":"listening"}\n');
  const line = service
    .output()
    .split('\n')
    .find((one) => one.includes('"msg":"listening"'));
  const { address } = JSON.parse(line ?? '');
  return { url: address, ...service };
}

/** Starts the service without waiting for it to listen. */
export function launchProcess(environment: Record<string, string>): Omit<ServiceProcess, 'url'> {
  const { child, written, exited, until } = launch(environment);
  return { output: () => written.stdout, until, kill: (signal) => void child.kill(signal), exited };
}

/** Runs a service that should exit by itself. */
export function runToExit(environment: Record<string, string>): Promise<Exit> {
  return launch(environment).exited;
}

/** Parses the log of a service. Throws when a line is not JSON. */
export function parseLog(stdout: string): LogLine[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogLine);
}

const commands = fileURLToPath(new URL('../../dist/cli/', import.meta.url));

/** Runs a command in its own process, with `input` on its standard input, until it exits. */
export async function runCommandLine(
  command: string,
  args: readonly string[],
  environment: Record<string, string>,
  input: string | Uint8Array = '',
): Promise<Exit> {
  const child = spawn(process.execPath, [...nodeOptions, join(commands, `${command}.js`), ...args], {
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
  // A command that never reads its input may exit before the write.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code, signal] = await once(child, 'close');
  return { code, signal, ...written };
}

const warmCommand = fileURLToPath(new URL('./warm-command.mjs', import.meta.url));
const endOfOutput = '\0end of the output\0';

let warm: ChildProcess | undefined;
let lastWarmRun: Promise<unknown> = Promise.resolve();

/**
 * Runs a command like `runCommandLine`, but in a process kept for the next call: a third of the time.
 * For tests of a command's effects. Each command has another test in its own process.
 */
export function runWarmCommand(...call: Parameters<typeof runCommandLine>): Promise<Exit> {
  const run = lastWarmRun.then(() => runInWarm(...call));
  lastWarmRun = run.catch(() => {});
  return run;
}

async function runInWarm(
  ...[command, args, environment, input = '']: Parameters<typeof runCommandLine>
): Promise<Exit> {
  if (!warm?.connected) warm = startWarm();
  const child = warm;
  const died = new AbortController();
  const onExit = () => died.abort(new Error(`the process ended within npm run ${command}`));
  child.once('exit', onExit);
  const file = join(commands, `${command}.js`);
  child.send({ file, args, environment: { PATH: process.env.PATH ?? '', ...environment }, input, endOfOutput });
  try {
    const [stdout, stderr, [code]] = await Promise.all([
      outputOf(child.stdout as Readable, died.signal),
      outputOf(child.stderr as Readable, died.signal),
      once(child, 'message', { signal: died.signal }),
    ]);
    return { code, signal: null, stdout, stderr };
  } finally {
    child.off('exit', onExit);
  }
}

function startWarm(): ChildProcess {
  const child = fork(warmCommand, { execArgv: nodeOptions, cwd: tmpdir(), silent: true, serialization: 'advanced' });
  living.add(child);
  child.once('exit', () => living.delete(child));
  child.stdout?.setEncoding('utf8');
  child.stderr?.setEncoding('utf8');
  return child;
}

/**
 * Collects a stream up to the end marker. `on` buffers; with repeated `once`, a chunk between two listeners would be
 * lost.
 */
async function outputOf(stream: Readable, signal: AbortSignal): Promise<string> {
  let text = '';
  for await (const [more] of on(stream, 'data', { signal })) {
    text += more;
    if (text.endsWith(endOfOutput)) break;
  }
  return text.slice(0, -endOfOutput.length);
}

/** Returns a port that another listener holds until the test finishes. */
export async function occupiedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onTestFinished(() => void listener.close());
  return (listener.address() as { port: number }).port;
}
