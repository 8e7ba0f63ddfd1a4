import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { openPostgres } from '../database/engine/postgres.js';
import { databaseProblem } from '../database/engine/sqlstate.js';
import { OperatorError } from '../errors.js';
import { type DjstripeOptions, djstripeEntries } from '../transfer/djstripe.js';
import { djstripeRows, NotDjstripe } from '../transfer/djstripe-tables.js';
import { type ImportEntry, readEntries } from '../transfer/import-file.js';
import { UsageError } from './command.js';

/** The sources of an import: a file, standard input or a dj-stripe database. */

/**
 * Reads the entries of a file, or of standard input for `-`.
 *
 * @throws UsageError when the file cannot be opened.
 */
export async function* fileEntries(name: string, djstripe: DjstripeOptions): AsyncGenerator<ImportEntry> {
  if (name === '-') {
    yield* readEntries(process.stdin, 'either', djstripe);
    return;
  }
  const file = createReadStream(name);
  try {
    await once(file, 'open');
    if ((await stat(name)).isDirectory()) throw new Error(`${name} is a directory`);
  } catch (error) {
    throw new UsageError(`The file cannot be read: ${(error as Error).message}.`);
  }
  yield* readEntries(file, /\.json(\.gz)?$/i.test(name) ? 'document' : 'lines', djstripe);
}

/**
 * Reads the entries of a dj-stripe database. A failure names this database, as it is not the one of DATABASE_URL.
 *
 * @throws UsageError when the URL is not PostgreSQL's, or the database not dj-stripe's; OperatorError when it fails.
 */
export async function* djstripeDatabaseEntries(
  url: string,
  statementTimeout: number,
  djstripe: DjstripeOptions,
): AsyncGenerator<ImportEntry> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError('--from-djstripe must be a URL postgresql://….');
  }
  const source = openPostgres({ url, poolSize: 1, statementTimeout, preparedStatements: false });
  try {
    yield* djstripeEntries(djstripeRows(source), djstripe);
  } catch (error) {
    if (error instanceof NotDjstripe) throw new UsageError(`${source.description}: ${error.message}`);
    if (!databaseProblem(error)) throw error;
    throw new OperatorError(`--from-djstripe: ${source.description} cannot be read: ${(error as Error).message}.`);
  } finally {
    await source.close();
  }
}
