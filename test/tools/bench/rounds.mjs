/** The order of the measurements. Figures that are compared are measured directly one after the other. */
import { connected } from '../lib/database.mjs';
import { scenarioOf } from './scenarios.mjs';
import { settle } from './seed.mjs';
import { startLoad, startService } from './services.mjs';

/**
 * @typedef {import('./options.mjs').Settings} Settings
 *
 * @typedef {import('./load.mjs').Measured & { scenario: string, connections: number, contender: string, round: number, rss: number | undefined }} Result
 *   `rss`: resident megabytes directly after the measurement
 */

const warmUpShare = 0.25;

/** Seconds of warm-up for each contender before the first round, so that no figure includes V8's first compilations. */
const firstWarmUp = 3;

/**
 * Measures our service and the contenders.
 *
 * @param {string} databaseUrl @param {Settings} settings
 * @param {(databaseUrl: string, services: import('./services.mjs').Service[]) => Promise<void>} expectSameAnswers throws when
 *   the answers of the services differ
 * @param {(line: string) => void} report
 */
export async function runRounds(databaseUrl, settings, expectSameAnswers, report) {
  const names = ['ours', ...new Set(settings.only.flatMap((name) => scenarioOf(name).contenders))];
  /** @type {import('./services.mjs').Service[]} */
  const services = [];
  for (const name of names) services.push(await startService(name, databaseUrl, settings.logLevel));
  await expectSameAnswers(databaseUrl, services);
  const measure = await startLoad(databaseUrl);
  return everyRound(settings, report, databaseUrl, (scenario) =>
    services
      .filter(({ name }) => name === 'ours' || scenarioOf(scenario).contenders.includes(name))
      .map((service) => ({ service, contender: service.name, measure })),
  );
}

/**
 * Measures our service on databases of different sizes.
 *
 * @param {readonly string[]} databaseUrls @param {Settings} settings @param {(line: string) => void} report
 */
export async function runGrowth(databaseUrls, settings, report) {
  /** @type {Runner[]} */
  const runners = [];
  for (const url of databaseUrls) {
    const service = await startService('ours', url, settings.logLevel);
    runners.push({ service, contender: new URL(url).pathname.replace(/\D/g, ''), measure: await startLoad(url) });
  }
  return everyRound(settings, report, /** @type {string} */ (databaseUrls[0]), () => runners);
}

/** Names of the measurements with and without the log of the change feed. */
export const logged = 'logged';
export const unlogged = 'unlogged';

/**
 * Measures our service with and without the triggers of the change feed.
 *
 * @param {string} databaseUrl @param {Settings} settings @param {(line: string) => void} report
 */
export async function runFeed(databaseUrl, settings, report) {
  const service = await startService('ours', databaseUrl, settings.logLevel);
  const measure = await startLoad(databaseUrl);
  const trigger = (/** @type {'ENABLE' | 'DISABLE'} */ action) => () =>
    connected(databaseUrl, (client) =>
      client.query(
        `ALTER TABLE checkout_session ${action} TRIGGER USER; ALTER TABLE stripe_event ${action} TRIGGER USER`,
      ),
    );
  try {
    return await everyRound(settings, report, databaseUrl, () => [
      { service, contender: logged, measure, prepare: trigger('ENABLE') },
      { service, contender: unlogged, measure, prepare: trigger('DISABLE') },
    ]);
  } finally {
    await trigger('ENABLE')();
  }
}

/**
 * @typedef {object} Runner
 * @property {import('./services.mjs').Service} service
 * @property {string} contender
 * @property {Awaited<ReturnType<typeof startLoad>>} measure
 * @property {() => Promise<unknown>} [prepare] runs before each measurement
 *
 * @param {Settings} settings @param {(line: string) => void} report @param {string} databaseUrl of any database of the server
 * @param {(scenario: string) => readonly Runner[]} runnersOf
 */
async function everyRound({ only, connections: counts, rounds, seconds }, report, databaseUrl, runnersOf) {
  /** @type {Result[]} */
  const results = [];
  report('warming up');
  for (const scenario of only) {
    for (const runner of runnersOf(scenario)) await runner.measure(jobOf(scenario, runner, 32, firstWarmUp));
  }

  const runScenario = async (
    /** @type {string} */ scenario,
    /** @type {number} */ count,
    /** @type {number} */ round,
  ) => {
    for (const runner of rotated(runnersOf(scenario), round)) {
      const { service, contender, prepare } = runner;
      await prepare?.();
      const measured = await runner.measure(jobOf(scenario, runner, count, seconds));
      results.push({ scenario, connections: count, contender, round, rss: service.rss(), ...measured });
      const { rate, p50, p99 } = measured;
      report(
        `round ${round + 1}/${rounds}  ${scenario.padEnd(8)} ${String(count).padStart(3)} connections  ${contender.padEnd(8)}` +
          `${rate.toFixed(0).padStart(7)}/s  p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms`,
      );
    }
  };

  // All reads come before the writes: after writes, a read may have to write dirty buffers back. There is one checkpoint before
  // the reads and one before the writes, and none between rounds. The first change of a page after a checkpoint logs the whole
  // page, and the server's own settings decide how often that happens.
  for (const writes of [false, true]) {
    const scenarios = only.filter((name) => (scenarioOf(name).writes ?? false) === writes);
    await connected(databaseUrl, settle);
    for (let round = 0; round < rounds; round += 1) {
      for (const scenario of scenarios) for (const count of counts) await runScenario(scenario, count, round);
    }
  }
  return results;
}

/** @param {string} scenario @param {Runner} runner @param {number} connections @param {number} seconds */
function jobOf(scenario, { service: { name, port, headers } }, connections, seconds) {
  return { scenario, contender: name, port, headers, connections, seconds, warmUp: seconds * warmUpShare };
}

/**
 * Rotates values, so that no contender always comes first.
 *
 * @template Value @param {readonly Value[]} values @param {number} by
 */
function rotated(values, by) {
  const start = by % values.length;
  return [...values.slice(start), ...values.slice(0, start)];
}
