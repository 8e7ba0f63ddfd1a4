import { type ParseArgsConfig, parseArgs } from 'node:util';
import pino from 'pino';
import { type Config, nameWarnings, parseConfig } from '../config.js';
import type { Database } from '../database/engine/database.js';
import { migrate, requireMigrations } from '../database/engine/migrate.js';
import { openDatabase } from '../database/engine/open.js';
import { operatorMessage } from '../database/engine/sqlstate.js';
import { logSerializers, OperatorError } from '../errors.js';
import { parseLenientTimestamp } from '../model/timestamp.js';

/** The frame of every command: help, arguments, configuration, database, progress and exit code. */

type Options = NonNullable<ParseArgsConfig['options']>;

export interface Program<Accepted extends Options, Parsed> {
  /** The text that `--help` prints. */
  readonly help: string;
  readonly options: Accepted;
  /** Whether the command accepts arguments without a name. */
  readonly allowPositionals?: boolean;
  /** Parses the options before the command does anything, so that a wrong one changes nothing. */
  readonly parse?: (values: Values<Accepted>) => Parsed;
}

export interface Command<Accepted extends Options, Parsed> extends Program<Accepted, Parsed> {
  /**
   * What to do about pending migrations (default: `apply`). `require` fails if any are pending. `apply` applies them, but fails
   * like `require` with MIGRATE_ON_START=false. `--dry-run` means `require` in every command.
   */
  readonly migrations?: 'apply' | 'require' | 'ignore';
}

type Values<Accepted extends Options> = ReturnType<typeof parseArgs<{ options: Accepted }>>['values'];

export interface Arguments<Accepted extends Options, Parsed = undefined> {
  readonly config: Config;
  readonly values: Values<Accepted>;
  /** The result of `parse`. */
  readonly parsed: Parsed;
  readonly positionals: readonly string[];
}

export interface Context<Accepted extends Options, Parsed = undefined> extends Arguments<Accepted, Parsed> {
  readonly database: Database;
  readonly log: pino.Logger;
  readonly progress: Progress;
}

/** Wrong arguments. The command prints the message alone and exits with 2. */
export class UsageError extends OperatorError {}

/**
 * Runs a command, and exits with 1 on a failure, with 2 on wrong arguments.
 *
 * @param work returns the exit code: 0 only when everything is done.
 */
export function runCommand<Accepted extends Options, Parsed = undefined>(
  command: Command<Accepted, Parsed>,
  work: (context: Context<Accepted, Parsed>) => Promise<number>,
): Promise<void> {
  return runProgram(command, async (args) => {
    const { config } = args;
    const { migrations = 'apply' } = command;
    const log = pino({ level: config.LOG_LEVEL, base: null, serializers: logSerializers }, pino.destination(2));
    for (const warning of nameWarnings(process.env)) log.warn(warning);
    const { 'dry-run': isDryRun }: { 'dry-run'?: unknown } = args.values;
    const reason = reasonNotToMigrate(config, isDryRun ? 'require' : migrations);
    const database = await openDatabase(config, { mustExist: reason !== undefined });
    try {
      if (reason !== undefined) await requireMigrations(database, reason);
      else if (migrations === 'apply') await migrate(database);
      return await work({ ...args, database, log, progress: new Progress() });
    } finally {
      await database.close();
    }
  });
}

/** Runs a command that needs no database, as {@link runCommand} does. */
export async function runProgram<Accepted extends Options, Parsed = undefined>(
  { help, options, allowPositionals = false, parse }: Program<Accepted, Parsed>,
  work: (args: Arguments<Accepted, Parsed>) => Promise<number>,
): Promise<void> {
  try {
    const all = { ...options, help: { type: 'boolean' as const, short: 'h' } };
    const args = parseArguments(all, allowPositionals);
    if (args.values.help) {
      process.stdout.write(help);
      return;
    }
    const values = args.values as Values<Accepted>;
    const parsed = parse?.(values) as Parsed;
    // A command does not listen, so a public HOST without API_KEYS is no fault here.
    const config = parseConfig({ ...process.env, HOST: undefined });
    process.exitCode = await work({ config, values, parsed, positionals: args.positionals });
  } catch (error) {
    process.stderr.write(`${operatorMessage(error) ?? (error as Error).stack ?? error}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
  // Exit explicitly: a library's timers may keep the process alive for seconds. Flush the output first.
  process.stdout.write('', () => process.exit());
}

/** Returns the reason to fail on pending migrations, or undefined when the command may apply or ignore them. */
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

/**
 * Progress of a long run on standard error. On a terminal it rewrites one line, at most every 100 ms. Elsewhere it writes a
 * line at most every 5 s.
 */
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

  /** Writes the last report when it is still unwritten. On a terminal it clears the line instead. */
  finish(): void {
    if (!this.#isTerminal && this.#unwritten !== undefined) process.stderr.write(`${this.#unwritten}\n`);
    this.#unwritten = undefined;
    this.clear();
  }

  /** Clears the progress line on a terminal, before other output. */
  clear(): void {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
  }
}

/**
 * Parses a date or date-time option to whole epoch seconds, with the same rules as the API's query strings.
 *
 * @throws UsageError for any other text.
 */
export function parseSecondsOption(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = parseLenientTimestamp(text);
  if (time === undefined) {
    throw new UsageError(
      `--${name} must be a date (2026-01-31) or an RFC 3339 date-time (2026-01-31T12:00:00Z), not ${JSON.stringify(text)}.`,
    );
  }
  return Math.floor(Date.parse(time) / 1000);
}
