import { eraseSessions } from '../transfer/erase.js';
import { runCommand, UsageError } from './command.js';

const help = `Erases what is stored of a customer: deletes their Checkout Sessions, with Stripe's raw objects.

  npm run erase -- [--customer ID] [--email ADDRESS] [--dry-run]

  --customer ID    sessions of this customer of Stripe's, cus_… or acct_…, in the expanded objects too
  --email ADDRESS  sessions with this address in any text, whether the shop gave it or the customer typed it; in
                   whatever case
  --dry-run        change nothing, print what would be erased

With both, sessions that match one of them are erased: a guest has no customer's id, and a customer's session that was
never completed has no address. The ids of the sessions are printed, each on a line.

An erased session stays erased: of it the id and the time are kept, so that no event, backfill or refresh from Stripe
brings it back, and the ledger keeps which events arrived. What arrives of the same customer later is a new session.
Stripe has its own copy, as have your exports and backups.

The exit code is 0 when all was erased, or there was nothing to erase, 1 when not, 2 when the call was wrong. An
interrupted run is done by starting it again.

Examples:
  npm run erase -- --customer cus_NffrFeUfNV2Hib --email jenny.rosen@example.com --dry-run
  npm run erase -- --customer cus_NffrFeUfNV2Hib --email jenny.rosen@example.com
`;

const options = {
  customer: { type: 'string' },
  email: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

/** Whose sessions to erase. */
function parse(values: { customer?: string; email?: string }) {
  const customer = textOf('customer', values.customer);
  const email = textOf('email', values.email);
  if (customer === undefined && email === undefined) throw new UsageError('Say whom: --customer, --email or both.');
  return { customer, email };
}

await runCommand({ help, options, parse }, async ({ database, values, given: person, progress }) => {
  const dryRun = values['dry-run'] ?? false;
  const totals = { read: 0, erased: 0 };
  try {
    for await (const { read, ids } of eraseSessions(database, person, { dryRun })) {
      totals.read += read;
      totals.erased += ids.length;
      if (ids.length > 0) progress.end();
      for (const id of ids) process.stdout.write(`${id}\n`);
      progress.report(`${totals.read} sessions read`);
    }
  } finally {
    progress.end();
    process.stderr.write(`${dryRun ? 'Would erase' : 'Erased'} ${totals.erased} of ${totals.read} sessions read.\n`);
  }
  return 0;
});

/** An option with something in it: an empty one is a script's variable that was not set, and not a person. */
function textOf(name: string, text: string | undefined): string | undefined {
  const value = text?.trim();
  if (value === '') throw new UsageError(`--${name} is empty`);
  return value;
}
