/** Child processes that never outlive this one. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** The running children, each with the signal that ends it. @type {Map<ChildProcess, NodeJS.Signals>} */
const children = new Map();
process.on('exit', () => {
  for (const [child, signal] of children) child.kill(signal);
});

/**
 * Ends a child with this process.
 *
 * @template {ChildProcess} Child @param {Child} child @param {NodeJS.Signals} [signal]
 */
export function endAtExit(child, signal = 'SIGKILL') {
  children.set(child, signal);
  child.once('exit', () => children.delete(child));
  return child;
}

/**
 * Returns the environment of a child. It inherits only the places of programs and password files, so that the developer's own
 * settings do not reach the service.
 *
 * @param {Record<string, string>} settings
 */
export function environmentWith(settings) {
  const { PATH, HOME, SystemRoot } = process.env;
  const environment = { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(SystemRoot && { SystemRoot }), ...settings };
  return /** @type {NodeJS.ProcessEnv} */ (environment);
}

/** A module that ends its process when the channel to the parent closes, as it does even after a kill -9 of the parent. */
const endWithParent = 'data:text/javascript,process.on("disconnect", () => process.exit())';

/**
 * Starts a Node program.
 *
 * @param {string} path
 * @param {{ settings?: Record<string, string>, directory?: string, log?: number | 'ignore' }} [options] `log`: a file
 *   descriptor for all output; by default, errors go to the standard error of this process
 */
export function startNode(path, { settings = {}, directory, log = 'ignore' } = {}) {
  const child = fork(path, {
    ...(directory && { cwd: directory }),
    env: environmentWith(settings),
    execArgv: ['--import', endWithParent],
    stdio: ['ignore', log, log === 'ignore' ? 'inherit' : log, 'ipc'],
  });
  return endAtExit(child);
}

/** @param {ChildProcess} child */
export const isRunning = (child) => child.exitCode === null && child.signalCode === null;

/**
 * Sends a signal to a child and waits until it has ended.
 *
 * @param {ChildProcess} child @param {NodeJS.Signals} [signal]
 */
export async function endChild(child, signal = 'SIGTERM') {
  if (!isRunning(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
