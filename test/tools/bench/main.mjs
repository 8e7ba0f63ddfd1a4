/** `npm run bench`: measures the service against what would be written instead, in one run on one machine. */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { agree } from './agreement.mjs';
import { alone, dropDatabases, prepareDatabase } from './database.mjs';
import { help, readOptions } from './options.mjs';
import { environmentOf, feedReport, growthReport, report } from './report.mjs';
import { runFeed, runGrowth, runRounds } from './rounds.mjs';
import { stopAll } from './services.mjs';

const progress = (/** @type {string} */ line) => process.stderr.write(`${line}\n`);

/** @param {string} serverUrl @param {import('./options.mjs').Settings} settings */
async function compare(serverUrl, settings) {
  const url = await prepareDatabase(serverUrl, settings.rows, true, progress);
  const results = await runRounds(url, settings, agree, progress);
  return { settings, environment: await environmentOf(url), ...report(results) };
}

/** @param {string} serverUrl @param {import('./options.mjs').Settings} settings */
async function grow(serverUrl, settings) {
  const sizes = [10_000, 1_000_000];
  const urls = [];
  for (const rows of sizes) urls.push(await prepareDatabase(serverUrl, rows, false, progress));
  const results = await runGrowth(urls, settings, progress);
  return {
    settings: { ...settings, rows: sizes },
    environment: await environmentOf(urls[0]),
    ...growthReport(results),
  };
}

/** @param {string} serverUrl @param {import('./options.mjs').Settings} settings */
async function compareFeed(serverUrl, settings) {
  const url = await prepareDatabase(serverUrl, settings.rows, false, progress);
  const results = await runFeed(url, settings, progress);
  return { settings, environment: await environmentOf(url), ...feedReport(results) };
}

/** Others on the machine are in every figure. Returns how many there were. */
function warnWhenBusy() {
  const [load = 0] = loadavg();
  if (load > cpus().length / 4) progress(`the machine is busy (load ${load.toFixed(1)}): these figures will not hold`);
  return load;
}

async function run() {
  const { settings, growth, feed, json, drop, isHelp } = readOptions(process.argv.slice(2));
  if (isHelp) return process.stdout.write(help);
  const serverUrl = process.env.BENCH_DATABASE_URL;
  if (!serverUrl) throw new Error('BENCH_DATABASE_URL names a PostgreSQL server: postgresql://user@127.0.0.1/postgres');
  if (drop) return progress(`dropped ${(await dropDatabases(serverUrl)).join(', ') || 'nothing'}`);
  const { text, ...outcome } = await alone(serverUrl, progress, async () => {
    const load = warnWhenBusy();
    return { load, ...(await (growth ? grow : feed ? compareFeed : compare)(serverUrl, settings)) };
  });
  const document = `${JSON.stringify(outcome, undefined, 2)}\n`;
  if (json === '-') return process.stdout.write(document);
  if (json) writeFileSync(json, document);
  process.stdout.write(text);
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${/** @type {Error} */ (error).message}\n`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
