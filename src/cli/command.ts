import { type ParseArgsConfig, parseArgs } from 'node:util';
import pino from 'pino';
import { type Config, parseConfig } from '../config.js';
import type { Database } from '../database/database.js';
import { operatorMessage } from '../database/failures.js';
import { migrate } from '../database/migrate.js';
import { openDatabase } from '../database/open.js';
import { logSerializers, OperatorError } from '../errors.js';

/** What every command of the command line shares: help, configuration, database, progress, exit code. */

type Options = NonNullable<ParseArgsConfig['options']>;

export interface Command<Taken extends Options> {
  /** What `--help` prints. */
  readonly help: string;
  readonly options: Taken;
  /** Whether arguments without a name are taken. */
  readonly allowPositionals?: boolean;
  /** Whether the database is brought up to date first, where the configuration allows it. */
  readonly migrates?: boolean;
}

type Values<Taken extends Options> = ReturnType<typeof parseArgs<{ options: Taken }>>['values'];

export interface Context<Taken extends Options> {
  readonly config: Config;
  readonly database: Database;
  readonly log: pino.Logger;
  readonly values: Values<Taken>;
  readonly positionals: readonly string[];
  readonly progress: Progress;
}

/** A fault of how the command was called: its message is all there is to say. */
export class UsageError extends OperatorError {}

/**
 * Runs a command of the command line.
 *
 * @param work returns the exit code: 0 only when all that was asked for was done.
 */
export async function runCommand<Taken extends Options>(
  { help, options, allowPositionals = false, migrates = true }: Command<Taken>,
  work: (context: Context<Taken>) => Promise<number>,
): Promise<void> {
  try {
    const all = { ...options, help: { type: 'boolean' as const, short: 'h' } };
    const { values, positionals } = parseArguments(all, allowPositionals);
    if (values.help) {
      process.stdout.write(help);
      return;
    }
    // A command listens nowhere, so who could reach it is not asked.
    const config = parseConfig({ ...process.env, HOST: undefined });
    const log = pino({ level: config.LOG_LEVEL, base: null, serializers: logSerializers }, pino.destination(2));
    const database = await openDatabase(config);
    try {
      if (migrates && config.MIGRATE_ON_START) await migrate(database);
      const progress = new Progress();
      process.exitCode = await work({ config, database, log, values: values as Values<Taken>, positionals, progress });
    } finally {
      await database.close();
    }
  } catch (error) {
    process.stderr.write(`${operatorMessage(error) ?? (error as Error).stack ?? error}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
  // What a library left behind may keep the process for seconds; what was written is out first.
  process.stdout.write('', () => process.exit());
}

function parseArguments(options: Options, allowPositionals: boolean) {
  try {
    return parseArgs({ options, allowPositionals });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nSee --help.`);
  }
}

/** Where a long run stands: one line that is rewritten on a terminal, elsewhere a plain line now and then. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY;
  #last = 0;

  report(line: string): void {
    const now = Date.now();
    if (now - this.#last < (this.#isTerminal ? 100 : 5000)) return;
    this.#last = now;
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Clears the line for what is printed next. */
  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
  }
}

/** Reads `--since`, `--until`: a date or an RFC 3339 date-time, in epoch seconds. */
export function secondsOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const milliseconds = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(milliseconds)) throw new UsageError(`--${name} must be a date or an RFC 3339 date-time`);
  return Math.floor(milliseconds / 1000);
}
