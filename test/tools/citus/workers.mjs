/** Starts on the workers, which the service refuses: there the sequence of djstripe_id counts far above 2^31. */
import { setTimeout } from 'node:timers/promises';
import { prepareService } from '../lib/service.mjs';
import { say } from '../lib/tool.mjs';

/** Milliseconds that a start may take. */
const patience = 30_000;

/** @param {string} directory @param {string} url of the coordinator @param {readonly { host: string, port: number }[]} workers */
export async function checkWorkers(directory, url, workers) {
  let areRefused = true;
  for (const { host, port } of workers) {
    const worker = new URL(url);
    worker.host = `${host}:${port}`;
    const message = await startOn(directory, worker.href);
    const isRefused = message !== undefined && /coordinator/.test(message);
    areRefused &&= isRefused;
    if (!isRefused) say(`FAILED: the worker ${worker.host} is not refused: ${message ?? 'the service runs on it'}`);
  }
  return areRefused;
}

/** Starts the service. @param {string} directory @param {string} url @returns {Promise<string | undefined>} its last words; undefined where it goes on */
async function startOn(directory, url) {
  const service = await prepareService(directory, { DATABASE_URL: url });
  service.begin();
  for (let waited = 0; waited < patience && service.isRunning(); waited += 100) await setTimeout(100);
  const isRunning = service.isRunning();
  await service.end('SIGKILL');
  return isRunning ? undefined : service.lastLog();
}
