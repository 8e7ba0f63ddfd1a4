import { mirrorStore } from '../database/sessions/mirror.js';
import { backfill, compare, type Difference } from '../stripe/backfill.js';
import { backgroundRetries } from '../stripe/calls.js';
import { createIngest } from '../stripe/ingest.js';
import { type Context, parseSecondsOption, runCommand, UsageError } from './command.js';
import { print, type RunTarget, retryReporter, runAndReport, runName, runTargets } from './stripe-run.js';

const help = `Copies Checkout Sessions from Stripe into the database.

Usage: npm run backfill -- [options]

Options:
  --since DATE    only sessions created at this time or later (default: no limit)
  --until DATE    only sessions created before this time (default: no limit)
  --account ACCT  account to read, acct_… (default: the account of the key). With an organization's key: any account of the
                  organization, or the path acct_…/acct_… to a connected account (default: STRIPE_ACCOUNT_ID)
  --dry-run       change nothing; print how the database differs from Stripe
  -h, --help      print this help

DATE is a date, which means midnight UTC, or an RFC 3339 date-time.

The newer state of a session wins. A session that was deleted here stays deleted. To resume an interrupted run, start it
again with the same options.

--dry-run prints one line for each session that is missing here, differs (with the names of the columns) or was deleted
here.

Exit code: 0 when everything was copied, 1 when not, 2 for wrong arguments. With --dry-run: 0 when the database equals
Stripe, 1 when it differs.

Examples:
  npm run backfill
  npm run backfill -- --since 2026-01-01 --until 2026-02-01
  npm run backfill -- --account acct_1032D82eZvKYlo2C --dry-run

Environment:
  STRIPE_API_KEYS    the keys to read with: one for live mode, one for test mode. A restricted key needs read access to
                     Checkout Sessions
  STRIPE_LIVEMODE    the modes to copy: live, test or both (default: both)
  STRIPE_ACCOUNT_ID  the owner of sessions read without --account
  DATABASE_URL       the database, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR           the directory of the embedded database (default: ./data)
`;

const options = {
  since: { type: 'string' },
  until: { type: 'string' },
  account: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

type RunContext = Context<typeof options, ReturnType<typeof parse>>;

interface Run extends RunTarget {
  retries: number;
  since: number | undefined;
  until: number | undefined;
}

/** Copies the sessions of one target, and returns whether it copied all of them. */
async function copySessions({ config, database, log, progress }: RunContext, run: Run): Promise<boolean> {
  const ingest = createIngest(mirrorStore(database), config, log);
  const onResume = () => print(`${runName(run)}: resumes an interrupted run`);
  return runAndReport(runName(run), progress, async (onPage) => {
    const totals = await backfill({ ...run, database, ingest, onResume, onPage });
    return { totals, isDone: true };
  });
}

/** Prints how the database differs from Stripe, and returns whether the two are equal. */
async function printDifferences({ config, database, progress }: RunContext, run: Run): Promise<boolean> {
  const onDifference = ({ kind, id, columns }: Difference) => {
    progress.clear();
    print(`${kind} ${id}${columns.length > 0 ? `: ${columns.join(', ')}` : ''}`);
  };
  return runAndReport(runName(run), progress, async (onPage) => {
    const totals = await compare({ ...run, database, owner: config.STRIPE_ACCOUNT_ID, onDifference, onPage });
    return { totals, isDone: totals.missing + totals.differs + totals.deleted === 0 };
  });
}

/** Parses `--since` and `--until` to epoch seconds. */
function parse(values: { since?: string; until?: string }) {
  const since = parseSecondsOption('since', values.since);
  const until = parseSecondsOption('until', values.until);
  if (since !== undefined && until !== undefined && since >= until) {
    throw new UsageError('--since must be before --until.');
  }
  return { since, until };
}

await runCommand({ help, options, parse }, async (context) => {
  const { config, values, parsed: range } = context;
  let code = 0;
  for (const target of runTargets(config, values.account)) {
    const onRetry = retryReporter(runName(target), context.progress);
    const run = { ...target, ...range, retries: backgroundRetries, onRetry };
    const isDone = values['dry-run'] ? await printDifferences(context, run) : await copySessions(context, run);
    if (!isDone) code = 1;
  }
  return code;
});
