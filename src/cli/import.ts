import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Database } from '../database/database.js';
import { djstripeRows, NotDjstripe } from '../database/djstripe.js';
import { mirrorStore } from '../database/mirror.js';
import { openPostgres } from '../database/postgres.js';
import { transferStore } from '../database/transfer.js';
import { djstripeElements } from '../stripe/djstripe.js';
import { type ImportTotals, importElements, newTotals } from '../stripe/import.js';
import { type Element, elementsOf } from '../stripe/import-elements.js';
import { createIngest } from '../stripe/ingest.js';
import { type Context, runCommand, UsageError } from './command.js';

const help = `Takes in Checkout Sessions from a file, or those of dj-stripe.

  npm run import -- [--restore] [--account ACCT] FILE.ndjson | FILE.json | -
  npm run import -- [--restore] [--account ACCT] --from-djstripe postgresql://…

  FILE.ndjson          a JSON value on each line
  FILE.json            an array, an object, a list of Stripe's or a page of this API
  -                    either, from the standard input
  --from-djstripe URL  the sessions of a dj-stripe database: djstripe_id and times are kept
  --restore            bring back what was deleted here
  --account ACCT       owner of what does not say whose it is, acct_…; STRIPE_ACCOUNT_ID when absent

Taken in are Checkout Sessions and events as Stripe has them, sessions in the shape of the contract, and the lines of
npm run export -- --full, which are restored exactly. A session in the shape of the contract keeps its djstripe_id and
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
  restore: { type: 'boolean' },
} as const;

type ImportContext = Context<typeof options>;

await runCommand({ help, options, allowPositionals: true }, async (context) => {
  const { positionals, values } = context;
  const url = values['from-djstripe'];
  if (positionals.length !== (url === undefined ? 1 : 0)) {
    throw new UsageError('Name one file, or - for the standard input, or --from-djstripe.\nSee --help.');
  }
  return url === undefined
    ? run(context, await fileElements(positionals[0] as string))
    : fromDjstripe(context, openDjstripe(context, url));
});

async function fileElements(name: string): Promise<AsyncIterable<Element>> {
  if (name === '-') return elementsOf(process.stdin, 'either');
  const file = createReadStream(name);
  try {
    await once(file, 'open');
  } catch (error) {
    throw new UsageError(`The file cannot be read: ${(error as Error).message}`);
  }
  return elementsOf(file, /\.json$/i.test(name) ? 'document' : 'lines');
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

async function fromDjstripe(context: ImportContext, source: Database): Promise<number> {
  const { STRIPE_LIVEMODE, STRIPE_ACCOUNT_ID } = context.config;
  const elements = djstripeElements(djstripeRows(source), {
    account: context.values.account ?? STRIPE_ACCOUNT_ID,
    takesIn: (livemode) => STRIPE_LIVEMODE === 'both' || livemode === (STRIPE_LIVEMODE === 'live'),
    onProjection: (session, projections) =>
      context.log.warn({ session, projections }, 'projected what the contract cannot hold'),
  });
  try {
    return await run(context, elements);
  } catch (error) {
    if (error instanceof NotDjstripe) throw new UsageError(`${source.description}: ${error.message}`);
    throw error;
  } finally {
    await source.close();
  }
}

async function run(
  { config, database, log, values, progress }: ImportContext,
  elements: AsyncIterable<Element>,
): Promise<number> {
  const totals = newTotals();
  try {
    await importElements(elements, {
      ingest: createIngest(mirrorStore(database), config, log),
      transfer: transferStore(database),
      restore: values.restore ?? false,
      account: values.account,
      totals,
      onFault: (place, fault) => {
        progress.end();
        process.stderr.write(`${place}: ${fault}\n`);
      },
      onProgress: () => progress.report(`${totals.read} read, ${totals.applied} applied, ${totals.bad} not taken in`),
    });
  } finally {
    progress.end();
    process.stdout.write(`${summary(totals)}\n`);
  }
  return totals.bad > 0 ? 1 : 0;
}

function summary({ read, applied, unchanged, deleted, ignored, bad }: ImportTotals): string {
  return `Read ${read}: ${applied} applied, ${unchanged} unchanged, ${deleted} deleted here before, ${ignored} ignored, ${bad} not taken in.`;
}
