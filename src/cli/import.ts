import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { asImport } from '../database/changes.js';
import type { Database } from '../database/engine/database.js';
import { openPostgres } from '../database/engine/postgres.js';
import { databaseProblem } from '../database/engine/sqlstate.js';
import { mirrorStore } from '../database/sessions/mirror.js';
import { OperatorError } from '../errors.js';
import { createIngest } from '../stripe/ingest.js';
import { type DjstripeCounts, type DjstripeOptions, djstripeEntries, newDjstripeCounts } from '../transfer/djstripe.js';
import { djstripeRows, NotDjstripe } from '../transfer/djstripe-tables.js';
import { type ImportTotals, importEntries, newTotals } from '../transfer/import.js';
import { type ImportEntry, readEntries } from '../transfer/ndjson.js';
import { restoringMirror } from '../transfer/restore.js';
import { transferStore } from '../transfer/store.js';
import { type Context, runCommand, UsageError } from './command.js';

const help = `Takes in Checkout Sessions from a file, or those of dj-stripe.

  npm run import -- [options] FILE.ndjson | FILE.json | -
  npm run import -- [options] --from-djstripe postgresql://…

  FILE.ndjson          a JSON value on each line
  FILE.json            an array, an object, a list of Stripe's, a page of this API or of Django REST Framework, a
                       dumpdata of Django's
  -                    either, from the standard input
  --from-djstripe URL  the sessions of a dj-stripe database: djstripe_id and times are kept
  --keep-numbers       refuse a row whose djstripe_id another session has here, rather than give it another number
  --restore            bring back what was deleted here
  --account ACCT       owner of what does not say whose it is, acct_…; STRIPE_ACCOUNT_ID when absent

Files may be gzipped. Taken in are Checkout Sessions and events as Stripe has them, or in the envelope of Amazon
EventBridge, sessions in the shape of the contract or of dj-stripe, and the lines of npm run export -- --full, which are
restored exactly: a number that is taken is at fault there. A session in the shape of the contract keeps its djstripe_id and
times, and goes over one that is here when its djstripe_updated is not older; without djstripe_updated it is only created.
Of two states of Stripe's the newer one stays. What was deleted here stays deleted.

What cannot be taken in is reported with its line, and the rest goes on. Running it again is harmless: after an
interruption just run it again. The exit code is 0 when everything was taken in, 1 when something was not, 2 when the call
was wrong.

Examples:
  npm run import -- sessions.ndjson
  npm run import -- --from-djstripe postgresql://django@localhost/shop
  npm run --silent export -- --full | DATABASE_URL=postgresql://… npm run import -- -
`;

const options = {
  account: { type: 'string' },
  'from-djstripe': { type: 'string' },
  'keep-numbers': { type: 'boolean' },
  restore: { type: 'boolean' },
} as const;

type ImportContext = Context<typeof options>;

/** How many rows with another number are named one by one. */
const maxRenumbered = 20;

await runCommand({ help, options, allowPositionals: true }, async (context) => {
  const { positionals, values } = context;
  const url = values['from-djstripe'];
  if (positionals.length !== (url === undefined ? 1 : 0)) {
    throw new UsageError('Name one file, or - for the standard input, or --from-djstripe.\nSee --help.');
  }
  return url === undefined
    ? run(context, (djstripe) => fileEntries(positionals[0] as string, djstripe))
    : fromDjstripe(context, openDjstripe(context, url));
});

async function* fileEntries(name: string, djstripe: DjstripeOptions): AsyncGenerator<ImportEntry> {
  if (name === '-') {
    yield* readEntries(process.stdin, 'either', djstripe);
    return;
  }
  const file = createReadStream(name);
  try {
    await once(file, 'open');
    if ((await stat(name)).isDirectory()) throw new Error(`${name} is a folder`);
  } catch (error) {
    throw new UsageError(`The file cannot be read: ${(error as Error).message}`);
  }
  yield* readEntries(file, /\.json(\.gz)?$/i.test(name) ? 'document' : 'lines', djstripe);
}

function openDjstripe({ config }: ImportContext, url: string): Database {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError('--from-djstripe takes postgresql://…');
  }
  return openPostgres({
    url,
    poolSize: 1,
    statementTimeout: config.DATABASE_STATEMENT_TIMEOUT_MS,
    preparedStatements: false,
  });
}

/** Reads the rows of a source; its failures name it, as those of this service's own database name DATABASE_URL. */
async function* rowsOf(source: Database): ReturnType<typeof djstripeRows> {
  try {
    yield* djstripeRows(source);
  } catch (error) {
    if (!databaseProblem(error)) throw error;
    throw new OperatorError(`--from-djstripe: ${source.description} cannot be read: ${(error as Error).message}.`);
  }
}

async function fromDjstripe(context: ImportContext, source: Database): Promise<number> {
  try {
    return await run(context, (djstripe) => djstripeEntries(rowsOf(source), djstripe));
  } catch (error) {
    if (error instanceof NotDjstripe) throw new UsageError(`${source.description}: ${error.message}`);
    throw error;
  } finally {
    await source.close();
  }
}

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
    progress.end();
    process.stderr.write(`${line}\n`);
  };
  const djstripe: DjstripeOptions = {
    account: account ?? STRIPE_ACCOUNT_ID,
    acceptsMode: (livemode) => STRIPE_LIVEMODE === 'both' || livemode === (STRIPE_LIVEMODE === 'live'),
    onProjection: (session, projections) =>
      log.warn({ session, projections }, 'projected what the contract cannot hold'),
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
      onRenumbered: (place, { id, djstripeId, number, holder }) => {
        counts.renumbered += 1;
        if (counts.renumbered <= maxRenumbered) {
          print(`${place}: ${id} has the djstripe_id ${number} here, as ${holder} has ${djstripeId}`);
        }
      },
      onProgress: () => progress.report(`${totals.read} read, ${totals.applied} applied, ${totals.bad} not taken in`),
    });
  } catch (error) {
    // What is no source at all has nothing to sum up.
    if (totals.read > 0) report();
    throw error;
  }
  report();
  return totals.bad > 0 ? 1 : 0;
}

function summary({ read, applied, unchanged, deleted, ignored, bad }: ImportTotals): string {
  return `Read ${read}: ${applied} applied, ${unchanged} unchanged, ${deleted} deleted here before, ${ignored} ignored, ${bad} not taken in.`;
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}

function countLines({
  renumbered,
  edited,
  withoutPayment,
  unresolved,
}: DjstripeCounts & { renumbered: number }): string[] {
  return [
    renumbered > 0 && `${rows(renumbered)} got another djstripe_id, as another session has theirs here.`,
    edited > 0 && `${rows(edited)} had columns that were edited in dj-stripe: the columns are kept.`,
    unresolved > 0 &&
      `${unresolved} references are numbers of objects that are not in the file: dump those of djstripe too.`,
    withoutPayment > 0 &&
      `${rows(withoutPayment)} came without Stripe's object, so that nothing is known of their payment: npm run backfill fetches it.`,
  ].filter((remark) => remark !== false);
}
