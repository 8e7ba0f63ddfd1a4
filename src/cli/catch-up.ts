import { mirrorStore } from '../database/sessions/mirror.js';
import { catchUp } from '../stripe/catch-up.js';
import { createIngest } from '../stripe/ingest.js';
import { type Context, runCommand } from './command.js';
import { attempt, type RunTarget, retryReporter, runName, runTargets } from './stripe-run.js';

const help = `Takes in the events of Checkout Sessions that Stripe has kept since the last catch-up.

  npm run catch-up -- [--account ACCT]

  --account ACCT  of a connected account, acct_…; without it of the account of the key. With the key of an organization of
                  any of its accounts, or acct_…/acct_… for a connected account of one; without it of STRIPE_ACCOUNT_ID

The first run goes back 30 days, which is as far as Stripe keeps events; what is older takes npm run backfill. Events that
the webhook brought already are duplicates and change nothing. STRIPE_API_KEYS holds the keys, one for live and one for
test; a restricted key needs to read Events.

The exit code is 0 when all was taken in, 1 when not: the next run then begins at the same time again.

Examples:
  npm run catch-up
  npm run catch-up -- --account acct_1032D82eZvKYlo2C
`;

const options = { account: { type: 'string' } } as const;
const retries = 8;

/** Whether all was taken in. */
function run(context: Context<typeof options>, { client, account }: RunTarget): Promise<boolean> {
  const { config, database, log, progress } = context;
  const name = runName({ client, account });
  const ingest = createIngest(mirrorStore(database), config, log);
  const onGap = (date: Date) => {
    const day = date.toISOString().slice(0, 10);
    process.stderr.write(
      `${name}: the last catch-up was on ${day}, and Stripe keeps events for 30 days: run npm run backfill -- --since ${day}\n`,
    );
  };
  return attempt(name, progress, async (onPage) => {
    const totals = await catchUp({
      client,
      account,
      retries,
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
