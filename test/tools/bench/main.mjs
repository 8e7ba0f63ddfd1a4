/** `npm run bench`: see options.mjs. */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { runTool } from '../lib/tool.mjs';
import { expectSameAnswers } from './agreement.mjs';
import { dropDatabases, prepareDatabase, runExclusively } from './database.mjs';
import { help, readOptions } from './options.mjs';
import { environmentOf, feedReport, growthReport, report } from './report.mjs';
import { runFeed, runGrowth, runRounds } from './rounds.mjs';
import { stopAll } from './services.mjs';

/** @typedef {import('./options.mjs').Settings} Settings */

const progress = (/** @type {string} */ line) => void process.stderr.write(`${line}\n`);

/** Compares our service with the contenders. @param {string} serverUrl @param {Settings} settings */
async function compare(serverUrl, settings) {
  const url = await prepareDatabase(serverUrl, settings.rows, true, progress);
  const results = await runRounds(url, settings, expectSameAnswers, progress);
  return { settings, environment: await environmentOf(url), ...report(results) };
}

/**
 * Compares our service on a large table with the same on a small one.
 *
 * @param {string} serverUrl @param {Settings} settings
 */
async function compareSizes(serverUrl, settings) {
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

/** Compares our writes with and without the change feed's log. @param {string} serverUrl @param {Settings} settings */
async function compareFeed(serverUrl, settings) {
  const url = await prepareDatabase(serverUrl, settings.rows, false, progress);
  const results = await runFeed(url, settings, progress);
  return { settings, environment: await environmentOf(url), ...feedReport(results) };
}

/** Warns when other programs use the machine, as they affect every figure. @returns {number} the load average */
function warnWhenBusy() {
  const [load = 0] = loadavg();
  if (load > cpus().length / 4) {
    progress(`the machine is busy (load average ${load.toFixed(1)}): these figures are not reliable`);
  }
  return load;
}

await runTool(help, readOptions, async ({ serverUrl, settings, growth, feed, json, drop }) => {
  if (drop) {
    progress(`dropped ${(await dropDatabases(serverUrl)).join(', ') || 'nothing'}`);
    return true;
  }
  try {
    const { text, ...outcome } = await runExclusively(serverUrl, progress, async () => {
      const load = warnWhenBusy();
      const measure = growth ? compareSizes : feed ? compareFeed : compare;
      return { load, ...(await measure(serverUrl, settings)) };
    });
    const document = `${JSON.stringify(outcome, undefined, 2)}\n`;
    if (json && json !== '-') writeFileSync(json, document);
    process.stdout.write(json === '-' ? document : text);
    return true;
  } finally {
    await stopAll();
  }
});
