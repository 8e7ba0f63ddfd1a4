/** Checks that the service refuses to start on a worker, where the sequence of djstripe_id counts far above 2^31. */
import { setTimeout } from 'node:timers/promises';
import { prepareService } from '../lib/service.mjs';
import { say } from '../lib/tool.mjs';

/** Milliseconds in which the service must end. */
const endLimit = 30_000;

/**
 * @param {string} directory @param {string} url of the coordinator
 * @param {readonly { host: string, port: number }[]} workers
 */
export async function checkWorkers(directory, url, workers) {
  let areAllRefused = true;
  for (const { host, port } of workers) {
    const worker = new URL(url);
    worker.host = `${host}:${port}`;
    const message = await startOn(directory, worker.href);
    const isRefused = message !== undefined && /coordinator/.test(message);
    areAllRefused &&= isRefused;
    if (!isRefused) say(`FAILED: the worker ${worker.host} is not refused: ${message ?? 'the service starts on it'}`);
  }
  return areAllRefused;
}

/**
 * Starts the service.
 *
 * @param {string} directory @param {string} url
 * @returns {Promise<string | undefined>} the end of its log; undefined if it keeps running
 */
async function startOn(directory, url) {
  const service = await prepareService(directory, { DATABASE_URL: url });
  service.start();
  for (let waited = 0; waited < endLimit && service.isRunning(); waited += 100) await setTimeout(100);
  const isRunning = service.isRunning();
  await service.end('SIGKILL');
  return isRunning ? undefined : service.lastLog();
}
