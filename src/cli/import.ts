import { asImport } from '../database/changes.js';
import { mirrorStore } from '../database/sessions/mirror.js';
import { createIngest } from '../stripe/ingest.js';
import { type DjstripeCounts, type DjstripeOptions, newDjstripeCounts } from '../transfer/djstripe.js';
import { type ImportTotals, importEntries, newTotals } from '../transfer/import.js';
import type { ImportEntry } from '../transfer/import-file.js';
import { restoringMirror } from '../transfer/restore.js';
import { transferStore } from '../transfer/store.js';
import { type Context, runCommand, UsageError } from './command.js';
import { djstripeDatabaseEntries, fileEntries } from './import-source.js';

const help = `Imports Checkout Sessions from a file or from a dj-stripe database.

Usage: npm run import -- [options] FILE.ndjson | FILE.json | -
       npm run import -- [options] --from-djstripe URL

  FILE.ndjson  a file with a JSON value on each line
  FILE.json    a file with one JSON document: an array, an object, a Stripe list, a page of this API or of Django REST
               Framework, or the output of Django's dumpdata
  -            standard input, in either form

Options:
  --from-djstripe URL  read a dj-stripe database, postgresql://…; keeps each djstripe_id and the times
  --keep-numbers       refuse a row whose djstripe_id another session has here (default: import it with a new djstripe_id)
  --restore            bring back sessions that were deleted here (default: they stay deleted)
  --account ACCT       owner of sessions whose source names no account, acct_… (default: STRIPE_ACCOUNT_ID)
  -h, --help           print this help

The command imports Stripe's Checkout Sessions and events, plain or in the envelope of Amazon EventBridge or Azure Event
Grid; sessions as this API or dj-stripe returns them; and the lines of npm run export -- --full. A file may be gzipped.

The newer of two Stripe states of a session wins. A session in the form of this API keeps its djstripe_id and times. It
replaces the stored session when its djstripe_updated is not older; without djstripe_updated it is only created. A line of a
full export is restored exactly, so it is refused when another session has its djstripe_id.

The command reports what it cannot import, with its line, and continues. To resume an interrupted run, start it again:
importing twice changes nothing.

Exit code: 0 when everything was imported, 1 when something was not, 2 for wrong arguments.

Examples:
  npm run import -- sessions.ndjson
  npm run import -- --from-djstripe postgresql://django@localhost/shop
  npm run --silent export -- --full | DATABASE_URL=postgresql://… npm run import -- -

Environment:
  STRIPE_LIVEMODE    the modes to import: live, test or both (default: both)
  STRIPE_ACCOUNT_ID  the default of --account
  DATABASE_URL       the database to import into, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR           the directory of the embedded database (default: ./data)
`;

const options = {
  account: { type: 'string' },
  'from-djstripe': { type: 'string' },
  'keep-numbers': { type: 'boolean' },
  restore: { type: 'boolean' },
} as const;

type ImportContext = Context<typeof options>;

/** Maximum number of rows with a new djstripe_id that the command prints one by one. */
const maxRenumbered = 20;

await runCommand({ help, options, allowPositionals: true }, async (context) => {
  const { positionals, values } = context;
  const url = values['from-djstripe'];
  if (positionals.length !== (url === undefined ? 1 : 0)) {
    throw new UsageError('Name one file, - for standard input, or --from-djstripe.\nSee --help.');
  }
  const { DATABASE_STATEMENT_TIMEOUT_MS } = context.config;
  return run(context, (djstripe) =>
    url === undefined
      ? fileEntries(positionals[0] as string, djstripe)
      : djstripeDatabaseEntries(url, DATABASE_STATEMENT_TIMEOUT_MS, djstripe),
  );
});

/** Imports the entries, and prints the totals. Returns the exit code. */
async function run(
  { config, database, log, values, progress }: ImportContext,
  entries: (djstripe: DjstripeOptions) => AsyncIterable<ImportEntry>,
): Promise<number> {
  const totals = newTotals();
  const counts = { ...newDjstripeCounts(), renumbered: 0 };
  const imported = asImport(database);
  const { STRIPE_LIVEMODE, STRIPE_ACCOUNT_ID } = config;
  const { restore = false, 'keep-numbers': keepNumbers = false, account } = values;
  const report = () => {
    progress.finish();
    process.stdout.write(`${[summary(totals), ...countLines(counts)].join('\n')}\n`);
  };
  const print = (line: string) => {
    progress.clear();
    process.stderr.write(`${line}\n`);
  };
  const djstripe: DjstripeOptions = {
    account: account ?? STRIPE_ACCOUNT_ID,
    acceptsMode: (livemode) => STRIPE_LIVEMODE === 'both' || livemode === (STRIPE_LIVEMODE === 'live'),
    onProjection: (session, projections) =>
      log.warn({ session, projections }, 'projected values that the contract cannot hold'),
    counts,
  };
  try {
    await importEntries(entries(djstripe), {
      ingest: createIngest(restore ? restoringMirror(imported) : mirrorStore(imported), config, log),
      transfer: transferStore(imported),
      restore,
      keepNumbers,
      account,
      totals,
      onFault: (place, fault) => print(`${place}: ${fault}`),
      onRenumbered: (place, { id, djstripeId, newDjstripeId, holder }) => {
        counts.renumbered += 1;
        if (counts.renumbered <= maxRenumbered) {
          print(`${place}: ${id} has the djstripe_id ${newDjstripeId} here, as ${holder} has ${djstripeId}`);
        }
      },
      onProgress: () => progress.report(`${totals.read} read, ${totals.applied} applied, ${totals.failed} failed`),
    });
  } catch (error) {
    // A source that cannot be read at all has no totals.
    if (totals.read > 0) report();
    throw error;
  }
  report();
  return totals.failed > 0 ? 1 : 0;
}

function summary({ read, applied, unchanged, deleted, ignored, failed }: ImportTotals): string {
  return `Read ${read}: ${applied} applied, ${unchanged} unchanged, ${deleted} deleted here before, ${ignored} ignored, ${failed} failed.`;
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}

/** Returns a sentence for each count that is not zero. */
function countLines({
  renumbered,
  edited,
  withoutPayment,
  unresolved,
}: DjstripeCounts & { renumbered: number }): string[] {
  return [
    renumbered > 0 && `${rows(renumbered)} got a new djstripe_id, because another session has the old one here.`,
    edited > 0 && `${rows(edited)} had columns that were edited in dj-stripe. The edited values are kept.`,
    unresolved > 0 && `References to objects that are not in the file: ${unresolved}. Dump all models of djstripe.`,
    withoutPayment > 0 &&
      `${rows(withoutPayment)} came without Stripe's object and so without the payment. npm run backfill fetches it.`,
  ].filter((line) => line !== false);
}
