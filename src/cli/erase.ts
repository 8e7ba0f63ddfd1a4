import { eraseSessions } from '../transfer/erase.js';
import { runCommand, UsageError } from './command.js';

const help = `Deletes all Checkout Sessions of a customer, with Stripe's raw objects.

Usage: npm run erase -- [--customer ID] [--email ADDRESS] [--dry-run]

Options:
  --customer ID    the sessions of this Stripe customer, cus_… or acct_…; also finds it in expanded objects
  --email ADDRESS  the sessions with this address in any text, ignoring case
  --dry-run        change nothing; print the sessions that would be erased
  -h, --help       print this help

Give both options: a guest has no customer id, and a customer's session that was never completed may have no address. A
session that matches one of them is erased. The command prints the id of each erased session on a line.

An erased session stays erased. The database keeps its id and the time of the erasure, so that no event, backfill or refresh
brings it back. The event ledger keeps the ids of its events. A later session of the same customer is stored as usual.
Stripe, your exports and your backups keep their own copies.

To resume an interrupted run, start it again.

Exit code: 0 when all matching sessions were erased, also when there are none; 1 when not; 2 for wrong arguments.

Examples:
  npm run erase -- --customer cus_NffrFeUfNV2Hib --email jenny.rosen@example.com --dry-run
  npm run erase -- --customer cus_NffrFeUfNV2Hib --email jenny.rosen@example.com

Environment:
  DATABASE_URL       the database, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR           the directory of the embedded database (default: ./data)
`;

const options = {
  customer: { type: 'string' },
  email: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

/** Parses whose sessions to erase. */
function parse(values: { customer?: string; email?: string }) {
  const customer = textOf('customer', values.customer);
  const email = textOf('email', values.email);
  if (customer === undefined && email === undefined)
    throw new UsageError('Name the customer: --customer, --email or both.');
  return { customer, email };
}

await runCommand({ help, options, parse }, async ({ database, values, parsed: person, progress }) => {
  const dryRun = values['dry-run'] ?? false;
  const totals = { read: 0, erased: 0 };
  try {
    for await (const { read, ids } of eraseSessions(database, person, { dryRun })) {
      totals.read += read;
      totals.erased += ids.length;
      if (ids.length > 0) progress.clear();
      for (const id of ids) process.stdout.write(`${id}\n`);
      progress.report(`${totals.read} sessions read`);
    }
  } finally {
    progress.clear();
    process.stderr.write(`${dryRun ? 'Would erase' : 'Erased'} ${totals.erased} of ${totals.read} sessions read.\n`);
  }
  return 0;
});

/** Returns the trimmed value of an option. Refuses an empty value: it usually is an unset variable of a script. */
function textOf(name: string, text: string | undefined): string | undefined {
  const value = text?.trim();
  if (value === '') throw new UsageError(`--${name} is empty.`);
  return value;
}
