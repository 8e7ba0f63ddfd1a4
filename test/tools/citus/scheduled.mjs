/** Checks of the scheduled work, by its metrics, and of the retention of the ledger. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { runCommand } from '../lib/command.mjs';
import { prepareService } from '../lib/service.mjs';
import { makeClient } from './client.mjs';

/** Milliseconds in which the first run of each work must end. */
const runLimit = 30_000;
const works = ['catch-up', 'fetching line items', 'removing old events'];

/**
 * @param {object} options
 * @param {string} options.url @param {string} options.directory @param {import('../lib/stripe-api.mjs').StripeApi} options.stripe
 * @param {import('./checks.mjs').Check} options.check
 */
export async function checkScheduled({ url, directory, stripe, check }) {
  const session = `cs_test_${Date.now().toString(36)}_old`;
  const file = join(directory, 'old-event.ndjson');
  const times = { created: '2020-01-01T00:00:00Z', received_at: '2020-01-01T00:00:00Z' };
  const event = { kind: 'event', session_id: session, id: 'evt_old', type: 'checkout.session.completed', ...times };
  writeFileSync(
    file,
    `${JSON.stringify({ ...event, account: null, livemode: false, api_version: null, outcome: 'applied' })}\n`,
  );
  const imported = await runCommand('import', [file], { DATABASE_URL: url, ...stripe.settings });
  check('import of an event of the ledger', imported.code === 0 && /1 applied/.test(imported.output), imported);

  const service = await prepareService(directory, {
    ...{ DATABASE_URL: url, ...stripe.settings, DATABASE_STATEMENT_TIMEOUT_MS: '10000' },
    ...{ STRIPE_FETCH_LINE_ITEMS: 'true', CATCH_UP_INTERVAL_MINUTES: '60', STRIPE_EVENT_RETENTION_DAYS: '90' },
  });
  service.start();
  try {
    await service.ready();
    const { call } = makeClient(service);
    const metrics = await metricsAfterRuns(call);
    for (const work of works) {
      check(work, metrics.includes(`scheduled_runs_total{work="${work}",outcome="done"} 1`), service.lastLog());
    }
    const ledger = await call('GET', `/api/stripe-events?session_id=${session}`);
    check('an old event is removed', ledger.json?.results?.length === 0, ledger);
  } finally {
    await service.end('SIGKILL');
  }
}

/** Returns the metrics once every work has run. @param {import('./client.mjs').Client['call']} call */
async function metricsAfterRuns(call) {
  const end = Date.now() + runLimit;
  for (;;) {
    const { text } = await call('GET', '/metrics');
    const haveRun = works.every((work) =>
      new RegExp(`scheduled_runs_total{work="${work}",outcome="\\w+"} [1-9]`).test(text),
    );
    if (haveRun || Date.now() > end) return text;
    await setTimeout(100);
  }
}
