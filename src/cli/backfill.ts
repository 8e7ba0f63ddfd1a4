import { mirrorStore } from '../database/sessions/mirror.js';
import { backfill, compare, type Difference } from '../stripe/backfill.js';
import { createIngest } from '../stripe/ingest.js';
import { type Context, runCommand, secondsOf, UsageError } from './command.js';
import { attempt, print, type RunTarget, retryReporter, runName, runTargets } from './stripe-run.js';

const help = `Takes in the Checkout Sessions that Stripe has.

  npm run backfill -- [--since DATE] [--until DATE] [--account ACCT] [--dry-run]

  --since DATE    sessions created at this time or later
  --until DATE    sessions created before this time
  --account ACCT  of a connected account, acct_…; without it of the account of the key. With the key of an organization of
                  any of its accounts, or acct_…/acct_… for a connected account of one; without it of STRIPE_ACCOUNT_ID
  --dry-run       change nothing, print how the mirror differs from Stripe

DATE is a date (its midnight in UTC) or an RFC 3339 date-time. STRIPE_API_KEYS holds the keys, one for live and one for
test; a restricted key needs to read Checkout Sessions. An interrupted run, started again with the same options, goes on
where it was. What was deleted here stays deleted, and of two states of a session the newer one stays.

The exit code is 0 when all was taken in, 1 when not. With --dry-run it is 0 when the mirror is the same as Stripe, 1 when
it differs: sessions that are missing here, that differ (and in which columns), or that were deleted here.

Examples:
  npm run backfill
  npm run backfill -- --since 2026-01-01 --until 2026-02-01
  npm run backfill -- --account acct_1032D82eZvKYlo2C --dry-run
`;

const options = {
  since: { type: 'string' },
  until: { type: 'string' },
  account: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

const retries = 8;

type RunContext = Context<typeof options, ReturnType<typeof parse>>;

interface Run extends RunTarget {
  retries: number;
  since: number | undefined;
  until: number | undefined;
}

/** Whether all was taken in. */
async function fill({ config, database, log, progress }: RunContext, run: Run): Promise<boolean> {
  const ingest = createIngest(mirrorStore(database), config, log);
  const onResume = () => print(`${runName(run)}: goes on where an interrupted run stopped`);
  return attempt(runName(run), progress, async (onPage) => {
    const totals = await backfill({ ...run, database, ingest, onResume, onPage });
    return { totals, isDone: true };
  });
}

/** Whether the mirror is the same as Stripe. */
async function difference({ config, database, progress }: RunContext, run: Run): Promise<boolean> {
  const onDifference = ({ kind, id, columns }: Difference) => {
    progress.end();
    print(`${kind} ${id}${columns.length > 0 ? `: ${columns.join(', ')}` : ''}`);
  };
  return attempt(runName(run), progress, async (onPage) => {
    const totals = await compare({ ...run, database, owner: config.STRIPE_ACCOUNT_ID, onDifference, onPage });
    return { totals, isDone: totals.missing + totals.differs + totals.deleted === 0 };
  });
}

/** The seconds between which sessions were created. */
function parse(values: { since?: string; until?: string }) {
  const since = secondsOf('since', values.since);
  const until = secondsOf('until', values.until);
  if (since !== undefined && until !== undefined && since >= until) {
    throw new UsageError('--since must be before --until.');
  }
  return { since, until };
}

await runCommand({ help, options, parse }, async (context) => {
  const { config, values, given } = context;
  let code = 0;
  for (const target of runTargets(config, values.account)) {
    const onRetry = retryReporter(runName(target), context.progress);
    const reading = { ...target, retries, onRetry, ...given };
    const isDone = values['dry-run'] ? await difference(context, reading) : await fill(context, reading);
    if (!isDone) code = 1;
  }
  return code;
});
