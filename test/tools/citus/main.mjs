/** `npm run citus`: see options.mjs. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '../lib/command.mjs';
import { prepareService } from '../lib/service.mjs';
import { startStripeApi } from '../lib/stripe-api.mjs';
import { runTool, say } from '../lib/tool.mjs';
import { runChecks } from './checks.mjs';
import { makeClient } from './client.mjs';
import { describeCluster, distribute, preparedTransactions } from './coordinator.mjs';
import { runLoad } from './load.mjs';
import { help, readOptions } from './options.mjs';
import { checkWorkers } from './workers.mjs';

/**
 * @typedef {import('../lib/service.mjs').Service} Service
 * @typedef {import('../lib/stripe-api.mjs').StripeApi} StripeApi
 * @typedef {import('./options.mjs').Options} Options
 * @typedef {import('./load.mjs').Outcome} Outcome
 */

/** Losses and wrong answers to print. */
const printed = 5;
/** Milliseconds. On a busy machine, a statement that visits many shards may take a second. */
const statementTimeout = '10000';

/**
 * Checks and loads one database.
 *
 * @param {string} directory for files; it does not exist yet @param {string} url @param {StripeApi} stripe
 * @param {Pick<Options, 'seconds' | 'writers' | 'fault' | 'checks' | 'hasLoad'> & { isDistributed: boolean }} options
 * @param {() => Promise<unknown>} settled waits until every acknowledged write can be read
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
    ...{ DATABASE_URL: url, ...stripe.settings, DATABASE_STATEMENT_TIMEOUT_MS: statementTimeout },
  });
  service.start();
  try {
    await service.ready();
    const { passed, failed } = await runChecks({ url, directory, service, stripe, isDistributed, only });
    say(`${passed} of ${passed + failed} checks passed`);
    const calm = hasLoad ? await runLoad(service, { ...options, fault: undefined, settled }) : undefined;
    if (calm) report(calm);
    const faulty = hasLoad && fault ? await runLoad(service, { ...options, fault, settled }) : undefined;
    if (faulty) report(faulty);
    for (const message of internalErrors(service)) say(`  a 500 was caused by: ${message}`);
    const isReported = faulty === undefined || (await reportsWorker(service));
    const areSound = [calm, faulty].every((outcome) => outcome === undefined || isSound(outcome));
    return { isSound: failed === 0 && areSound && isReported, rate: calm && rateOf(calm) };
  } finally {
    await service.end('SIGKILL');
  }
}

/** Returns the messages of the errors behind answers with 500. @param {Service} service */
function internalErrors(service) {
  const failed = service.log().match(/^.*"problem":"internal".*$/gm) ?? [];
  return [...new Set(failed.map((line) => JSON.parse(line).err?.message))].slice(0, printed);
}

/** Whether the log and the metrics report the failed worker. @param {Service} service */
async function reportsWorker(service) {
  const { text } = await makeClient(service).call('GET', '/metrics');
  const failures = Number(/^database_worker_failures_total (\d+)$/m.exec(text)?.[1] ?? 0);
  const notices = service.log().match(/a worker of Citus fails/g)?.length ?? 0;
  say(`database_worker_failures_total is ${failures}, and ${notices} lines of the log report a worker`);
  return failures > 0 && notices > 0;
}

/** @param {Outcome} outcome */
const rateOf = ({ acknowledged, seconds }) => acknowledged / seconds;

/** @param {Outcome} outcome */
function isSound({ losses, wrong, unanswered, acknowledged, outage }) {
  const isWhole = acknowledged > 0 && losses.length + wrong.length + unanswered === 0;
  return isWhole && (outage === undefined || (outage.hasRecovered && outage.staysReady && outage.served > 0));
}

/** @param {Outcome} outcome */
function report(outcome) {
  const { seconds, acknowledged, refused, unanswered, slowest, sessions, losses, wrong, outage } = outcome;
  say(
    `${acknowledged} writes acknowledged in ${seconds.toFixed(0)} s, ${rateOf(outcome).toFixed(0)} a second, the slowest in ` +
      `${slowest.toFixed(0)} ms; ${refused} refused, ${unanswered} unanswered; ${losses.length} of ${sessions} sessions lost a write`,
  );
  if (outage) {
    const kinds = Object.entries(outage.servedByKind).map(([kind, count]) => `${kind} ${count}`);
    say(
      `refusals for ${outage.seconds.toFixed(1)} s, ${outage.served} writes acknowledged in this time (${kinds.join(', ')}), at most ` +
        `${outage.silent.toFixed(1)} s without one; ${outage.staysReady ? 'stayed ready' : 'was NOT READY'}, ` +
        `${outage.hasRecovered ? 'recovered' : 'did NOT RECOVER'}`,
    );
  }
  for (const line of [...losses, ...wrong].slice(0, printed)) say(`  ${line}`);
}

/**
 * Checks and loads a cluster, and a plain PostgreSQL for comparison.
 *
 * @param {string} directory @param {Options} options
 */
async function tryCluster(directory, { url, against, ...options }) {
  const { version, workers } = await describeCluster(url);
  const stripe = await startStripeApi();
  await migrate({ DATABASE_URL: url });
  const shards = await distribute(url);
  say(`${version}, ${workers.length} workers, ${shards} shards`);
  const areWorkersRefused = await checkWorkers(directory, url, workers);
  const cluster = await tryDatabase(join(directory, 'cluster'), url, stripe, { ...options, isDistributed: true }, () =>
    preparedTransactions(url),
  );
  const prepared = await preparedTransactions(url);
  say(`${prepared} prepared transactions left`);
  const isSound = areWorkersRefused && cluster.isSound && prepared === 0;
  if (against === undefined) return isSound;

  say('on plain PostgreSQL:');
  await migrate({ DATABASE_URL: against });
  const plain = await tryDatabase(
    join(directory, 'plain'),
    against,
    stripe,
    { ...options, isDistributed: false, fault: undefined },
    async () => {},
  );
  if (cluster.rate && plain.rate) {
    say(`the writes per second on Citus are ${(cluster.rate / plain.rate).toFixed(2)} of those on plain PostgreSQL`);
  }
  return isSound && plain.isSound;
}

await runTool(help, readOptions, (options, directory) => tryCluster(directory, options));
