import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { exportLines, type LineKind } from '../transfer/export.js';
import { runCommand, UsageError } from './command.js';

const help = `Writes all Checkout Sessions as NDJSON, one on each line, as of one moment.

  npm run --silent export -- [--full] [--output FILE]

  --full         everything: the private columns with Stripe's raw objects, the tombstones, the ledger of events and
                 where the command line left off; an import of it restores exactly
  --output FILE  write to a file instead of the standard output

It changes nothing: a database that lacks migrations is refused rather than migrated.
Without --full the lines are in the shape of the contract. --silent keeps npm's own lines out of the standard output.

The exit code is 0 when all was written, 1 when not, 2 when the call was wrong.

Examples:
  npm run --silent export > sessions.ndjson
  npm run export -- --full --output everything.ndjson
`;

const options = { full: { type: 'boolean' }, output: { type: 'string' } } as const;

await runCommand({ help, options, migrations: 'require' }, async ({ database, values, progress }) => {
  const output = values.output === undefined ? process.stdout : await openFile(values.output);
  const failed = new Promise<never>((_, reject) => output.on('error', reject));
  // Awaited with every write; in between a failure is not unhandled.
  failed.catch(() => {});
  const counts: Record<LineKind, number> = { session: 0, sequence: 0, tombstone: 0, event: 0, progress: 0 };
  try {
    await exportLines(database, { full: values.full ?? false }, async ({ kind, lines }) => {
      await Promise.race([failed, write(output, lines)]);
      counts[kind] += lines.length;
      progress.report(`${counts.session} sessions`);
    });
    if (values.output !== undefined) await Promise.race([failed, ended(output)]);
  } catch (error) {
    // Who reads has had enough, as head has.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 1;
    throw error;
  }
  progress.end();
  const also = values.full ? `, ${counts.tombstone} tombstones, ${counts.event} events` : '';
  process.stderr.write(`Exported ${counts.session} sessions${also}.\n`);
  return 0;
});

async function openFile(name: string): Promise<Writable> {
  const file = createWriteStream(name);
  try {
    await once(file, 'open');
  } catch (error) {
    throw new UsageError(`The file cannot be written: ${(error as Error).message}`);
  }
  return file;
}

/** Ends the output and resolves when all of it is written. */
function ended(output: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    output.end((error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Resolves when there is room for more. */
async function write(output: Writable, lines: readonly string[]): Promise<void> {
  if (lines.length > 0 && !output.write(`${lines.join('\n')}\n`)) await once(output, 'drain');
}
