import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { exportLines, type LineKind } from '../transfer/export.js';
import { runCommand, UsageError } from './command.js';

const help = `Exports all Checkout Sessions as NDJSON, one session per line, from one consistent snapshot.

Usage: npm run --silent export -- [options]

Options:
  --full         export everything: also the private columns with Stripe's raw objects, the tombstones of deleted sessions,
                 the event ledger and the positions of backfill and catch-up. An import restores it exactly
  --output FILE  write to this file (default: standard output)
  -h, --help     print this help

Without --full a line is a session as the API returns it. The command changes nothing: it fails when the database lacks
migrations. npm run --silent keeps npm's own lines out of the output.

Exit code: 0 when everything was written, 1 when not, 2 for wrong arguments.

Examples:
  npm run --silent export > sessions.ndjson
  npm run export -- --full --output everything.ndjson

Environment:
  DATABASE_URL       the database, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR           the directory of the embedded database (default: ./data)
`;

const options = { full: { type: 'boolean' }, output: { type: 'string' } } as const;

await runCommand({ help, options, migrations: 'require' }, async ({ database, values, progress }) => {
  const output = values.output === undefined ? process.stdout : await openFile(values.output);
  const failed = new Promise<never>((_, reject) => output.on('error', reject));
  // Every write awaits it. Between two writes this keeps a failure from being an unhandled rejection.
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
    // The reader has closed the pipe, as `head` does.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 1;
    throw error;
  }
  progress.clear();
  const also = values.full ? `, ${counts.tombstone} tombstones, ${counts.event} events` : '';
  process.stderr.write(`Exported ${counts.session} sessions${also}.\n`);
  return 0;
});

async function openFile(name: string): Promise<Writable> {
  const file = createWriteStream(name);
  try {
    await once(file, 'open');
  } catch (error) {
    throw new UsageError(`The file cannot be written: ${(error as Error).message}.`);
  }
  return file;
}

/** Ends the output, and resolves when everything is written. */
function ended(output: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    output.end((error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Writes lines, and waits while the output is full (backpressure). */
async function write(output: Writable, lines: readonly string[]): Promise<void> {
  if (lines.length > 0 && !output.write(`${lines.join('\n')}\n`)) await once(output, 'drain');
}
