import { type ParseArgsConfig, parseArgs } from 'node:util';
import pino from 'pino';
import { type Config, nameWarnings, parseConfig } from '../config.js';
import type { Database } from '../database/engine/database.js';
import { migrate, requireMigrations } from '../database/engine/migrate.js';
import { openDatabase } from '../database/engine/open.js';
import { operatorMessage } from '../database/engine/sqlstate.js';
import { logSerializers, OperatorError } from '../errors.js';
import { parseLenientTimestamp } from '../model/timestamp.js';

/** What every command of the command line shares: help, configuration, database, progress, exit code. */

type Options = NonNullable<ParseArgsConfig['options']>;

export interface Command<Taken extends Options, Arguments> {
  /** What `--help` prints. */
  readonly help: string;
  readonly options: Taken;
  /** Whether arguments without a name are taken. */
  readonly allowPositionals?: boolean;
  /** Reads the arguments before the database is opened, so that a wrong one changes nothing. */
  readonly parse?: (values: Values<Taken>) => Arguments;
  /**
   * What to do about pending migrations. `apply` leaves them to the operator where MIGRATE_ON_START is false, and
   * `--dry-run`, which changes nothing in any command, only requires that there are none.
   */
  readonly migrations?: 'apply' | 'require' | 'ignore';
}

type Values<Taken extends Options> = ReturnType<typeof parseArgs<{ options: Taken }>>['values'];

export interface Context<Taken extends Options, Arguments = undefined> {
  readonly config: Config;
  readonly database: Database;
  readonly log: pino.Logger;
  readonly values: Values<Taken>;
  /** What `parse` returned. */
  readonly given: Arguments;
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
export async function runCommand<Taken extends Options, Arguments = undefined>(
  { help, options, allowPositionals = false, parse, migrations = 'apply' }: Command<Taken, Arguments>,
  work: (context: Context<Taken, Arguments>) => Promise<number>,
): Promise<void> {
  try {
    const all = { ...options, help: { type: 'boolean' as const, short: 'h' } };
    const parsed = parseArguments(all, allowPositionals);
    if (parsed.values.help) {
      process.stdout.write(help);
      return;
    }
    const { positionals } = parsed;
    const values = parsed.values as Values<Taken>;
    const given = parse?.(values) as Arguments;
    // A command listens nowhere, so who could reach it is not asked.
    const config = parseConfig({ ...process.env, HOST: undefined });
    const log = pino({ level: config.LOG_LEVEL, base: null, serializers: logSerializers }, pino.destination(2));
    for (const warning of nameWarnings(process.env)) log.warn(warning);
    const reason = reasonNotToMigrate(config, parsed.values['dry-run'] ? 'require' : migrations);
    const database = await openDatabase(config, { mustExist: reason !== undefined });
    try {
      if (reason !== undefined) await requireMigrations(database, reason);
      else if (migrations === 'apply') await migrate(database);
      const progress = new Progress();
      process.exitCode = await work({ config, database, log, values, given, positionals, progress });
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

/** Why pending migrations end a command; undefined where they do not. */
function reasonNotToMigrate(config: Config, migrations: Command<Options, unknown>['migrations']): string | undefined {
  if (migrations === 'require') return 'this command changes nothing';
  return migrations === 'apply' && !config.MIGRATE_ON_START ? 'MIGRATE_ON_START is false' : undefined;
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
  #last = Date.now();
  #unwritten: string | undefined;

  report(line: string): void {
    const now = Date.now();
    this.#unwritten = line;
    if (now - this.#last < (this.#isTerminal ? 100 : 5000)) return;
    this.#last = now;
    this.#unwritten = undefined;
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Writes where the run ended, unless that stands there already. */
  finish(): void {
    if (!this.#isTerminal && this.#unwritten !== undefined) process.stderr.write(`${this.#unwritten}\n`);
    this.#unwritten = undefined;
    this.end();
  }

  /** Clears the line for what is printed next. */
  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
  }
}

/** Reads `--since` or `--until` as the API reads times and dates, in whole epoch seconds. */
export function secondsOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = parseLenientTimestamp(text);
  if (time === undefined) {
    throw new UsageError(
      `--${name} takes a date (2026-01-31) or an RFC 3339 date-time (2026-01-31T12:00:00Z), and ${JSON.stringify(text)} is neither.`,
    );
  }
  return Math.floor(Date.parse(time) / 1000);
}
