import { mirrorStore } from '../database/sessions/mirror.js';
import { backgroundRetries } from '../stripe/calls.js';
import { catchUp } from '../stripe/catch-up.js';
import { createIngest } from '../stripe/ingest.js';
import { type Context, runCommand } from './command.js';
import { type RunTarget, retryReporter, runAndReport, runName, runTargets } from './stripe-run.js';

const help = `Fetches the Checkout Session events that Stripe has kept since the last catch-up.

Usage: npm run catch-up -- [options]

Options:
  --account ACCT  account to read, acct_… (default: the account of the key). With an organization's key: any account of the
                  organization, or the path acct_…/acct_… to a connected account (default: STRIPE_ACCOUNT_ID)
  -h, --help      print this help

Stripe keeps events for 30 days, so the first run goes back 30 days. Use npm run backfill for older sessions. An event that
the webhook has delivered already is a duplicate and changes nothing.

Exit code: 0 when all events were stored, 1 when not, 2 for wrong arguments. After a failure the next run starts from the
same time again.

Examples:
  npm run catch-up
  npm run catch-up -- --account acct_1032D82eZvKYlo2C

Environment:
  STRIPE_API_KEYS    the keys to read with: one for live mode, one for test mode. A restricted key needs read access to
                     Events
  STRIPE_LIVEMODE    the modes to fetch: live, test or both (default: both)
  STRIPE_ACCOUNT_ID  the owner of sessions whose event names no account
  DATABASE_URL       the database, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR           the directory of the embedded database (default: ./data)
`;

const options = { account: { type: 'string' } } as const;

/** Catches up with the events of one target, and returns whether it stored all of them. */
function run(context: Context<typeof options>, { client, account }: RunTarget): Promise<boolean> {
  const { config, database, log, progress } = context;
  const name = runName({ client, account });
  const ingest = createIngest(mirrorStore(database), config, log);
  const onGap = (date: Date) => {
    const day = date.toISOString().slice(0, 10);
    process.stderr.write(
      `${name}: the last catch-up ran on ${day}, and Stripe keeps events for 30 days only. Run npm run backfill -- --since ${day}\n`,
    );
  };
  return runAndReport(name, progress, async (onPage) => {
    const totals = await catchUp({
      client,
      account,
      retries: backgroundRetries,
      database,
      ingest,
      onGap,
      onPage,
      onRetry: retryReporter(name, progress),
    });
    return { totals, isDone: true };
  });
}

await runCommand({ help, options }, async (context) => {
  let code = 0;
  for (const target of runTargets(context.config, context.values.account)) if (!(await run(context, target))) code = 1;
  return code;
});
