/**
 * `npm run citus`: tries the service on a Citus cluster. Every operation is checked, then everything is read back that was
 * acknowledged under load.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { prepareService } from '../lib/service.mjs';
import { inRun, say } from '../lib/tool.mjs';
import { runChecks } from './checks.mjs';
import { makeClient } from './client.mjs';
import { makeCommand } from './command.mjs';
import { describeCluster, distribute, preparedTransactions } from './coordinator.mjs';
import { runLoad } from './load.mjs';
import { help, readOptions } from './options.mjs';
import { startStripe } from './stripe.mjs';
import { checkWorkers } from './workers.mjs';

/**
 * @typedef {import('./options.mjs').Options} Options
 * @typedef {import('./load.mjs').Outcome} Outcome
 */

/** Losses and wrong answers that are shown. */
const shown = 5;
/** Milliseconds: a group that visits many shards of a busy machine may take a second. */
const statementTimeout = '10000';

/** @param {string} url @param {import('./stripe.mjs').StripeApi} stripe @throws what the command said */
async function migrate(url, stripe) {
  const { code, output } = await makeCommand(url, stripe)('migrate');
  if (code !== 0) throw new Error(`The database cannot be migrated: ${output}`);
}

/**
 * Checks and loads one database.
 *
 * @param {string} directory for its files, to be made @param {string} url @param {import('./stripe.mjs').StripeApi} stripe
 * @param {Pick<Options, 'seconds' | 'writers' | 'fault' | 'checks' | 'hasLoad'> & { isDistributed: boolean }} options
 * @param {() => Promise<unknown>} settled waits until everything that was acknowledged can be read
 */
async function tryDatabase(
  directory,
  url,
  stripe,
  { checks: only, hasLoad, isDistributed, fault, ...options },
  settled,
) {
  mkdirSync(directory);
  const service = await prepareService(directory, {
    ...{ DATABASE_URL: url, ...stripe.environment, DATABASE_STATEMENT_TIMEOUT_MS: statementTimeout },
  });
  service.begin();
  try {
    await service.ready();
    const { passed, failed } = await runChecks({ url, directory, service, stripe, isDistributed, only });
    say(`${passed} of ${passed + failed} checks passed`);
    const calm = hasLoad ? await runLoad(service, { ...options, fault: undefined, settled }) : undefined;
    if (calm) report(calm);
    const harmed = hasLoad && fault ? await runLoad(service, { ...options, fault, settled }) : undefined;
    if (harmed) report(harmed);
    for (const failure of internalFailures(service)) say(`  failed with: ${failure}`);
    const isNoticed = harmed === undefined || (await hasNoticed(service));
    const areSound = [calm, harmed].every((outcome) => outcome === undefined || isSound(outcome));
    return { isSound: failed === 0 && areSound && isNoticed, rate: calm && rateOf(calm) };
  } finally {
    await service.end('SIGKILL');
  }
}

/** Returns the messages of the failures that were answered with 500. @param {import('../lib/service.mjs').Service} service */
function internalFailures(service) {
  const failed = service.wholeLog().match(/^.*"problem":"internal".*$/gm) ?? [];
  return [...new Set(failed.map((line) => JSON.parse(line).err?.message))].slice(0, shown);
}

/** Whether the log and the metrics tell of the worker. @param {import('../lib/service.mjs').Service} service */
async function hasNoticed(service) {
  const { text } = await makeClient(service).call('GET', '/metrics');
  const failures = Number(/^database_worker_failures_total (\d+)$/m.exec(text)?.[1] ?? 0);
  const notices = service.wholeLog().match(/a worker of Citus fails/g)?.length ?? 0;
  say(`database_worker_failures_total is ${failures}, and the log tells of it in ${notices} lines`);
  return failures > 0 && notices > 0;
}

/** @param {Outcome} outcome */
const rateOf = ({ acknowledged, seconds }) => acknowledged / seconds;

/** @param {Outcome} outcome */
function isSound({ losses, wrong, unanswered, acknowledged, fault }) {
  const isWhole = acknowledged > 0 && losses.length + wrong.length + unanswered === 0;
  return isWhole && (fault === undefined || (fault.isHealed && fault.staysReady && fault.served > 0));
}

/** @param {Outcome} outcome */
function report(outcome) {
  const { seconds, acknowledged, refused, unanswered, slowest, sessions, losses, wrong, fault } = outcome;
  say(
    `${acknowledged} writes acknowledged in ${seconds.toFixed(0)} s, ${rateOf(outcome).toFixed(0)} a second, the slowest in ` +
      `${slowest.toFixed(0)} ms; ${refused} refused, ${unanswered} unanswered; ${losses.length} of ${sessions} sessions lost a write`,
  );
  if (fault) {
    say(
      `refusals for ${fault.outage.toFixed(1)} s, ${fault.served} writes acknowledged meanwhile, at most ` +
        `${fault.silent.toFixed(1)} s without one; ${fault.staysReady ? 'stayed ready' : 'was NOT READY'}, ` +
        `${fault.isHealed ? 'healed' : 'did NOT HEAL'}`,
    );
  }
  for (const line of [...losses, ...wrong].slice(0, shown)) say(`  ${line}`);
}

/** @param {string} directory @param {Options} options */
async function tryCluster(directory, { url, against, ...options }) {
  const { version, workers } = await describeCluster(url);
  const stripe = await startStripe();
  await migrate(url, stripe);
  const shards = await distribute(url);
  say(`${version}, ${workers.length} workers, ${shards} shards`);
  const areRefused = await checkWorkers(directory, url, workers);
  const cluster = await tryDatabase(join(directory, 'cluster'), url, stripe, { ...options, isDistributed: true }, () =>
    preparedTransactions(url),
  );
  const prepared = await preparedTransactions(url);
  say(`${prepared} prepared transactions left`);
  const isSound = areRefused && cluster.isSound && prepared === 0;
  if (against === undefined) return isSound;

  say('plain PostgreSQL');
  await migrate(against, stripe);
  const plain = await tryDatabase(
    join(directory, 'plain'),
    against,
    stripe,
    { ...options, isDistributed: false, fault: undefined },
    async () => {},
  );
  if (cluster.rate && plain.rate) {
    say(`Citus takes ${(cluster.rate / plain.rate).toFixed(2)} of the writes of plain PostgreSQL`);
  }
  return isSound && plain.isSound;
}

await inRun(readOptions, async (directory, options) => {
  if (!options.isHelp) return tryCluster(directory, options);
  say(help);
  return true;
});
