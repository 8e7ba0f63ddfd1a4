/** The frame of a tool: its options, a temporary folder, and its exit code. */
import { temporaryDirectory } from './directory.mjs';

/** Thrown when this machine lacks something that the tool needs. */
export class Unavailable extends Error {}

const exitCodes = { failed: 1, wrongOptions: 2, unavailable: 77 };

export const say = (/** @type {string} */ line) => void process.stdout.write(`${line}\n`);

/**
 * Prints the outcome of one check and the reasons for a failure.
 *
 * @param {string} name @param {readonly string[]} failures
 */
export function report(name, failures) {
  say(`${name}: ${failures.length === 0 ? 'passed' : 'failed'}`);
  for (const failure of failures) say(`  ${failure}`);
}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * Runs a tool and sets the exit code: 0 for success, 1 for a failure, 2 for wrong options, 77 when this machine lacks
 * something that the tool needs. `--help` prints the help.
 *
 * @template Options
 * @param {string} help
 * @param {(args: string[]) => Options} readOptions throws an error that says which argument is wrong
 * @param {(options: Options, directory: string) => Promise<boolean>} work resolves to whether the tool succeeded; the
 *   directory is temporary
 * @returns {Promise<void>}
 */
export async function runTool(help, readOptions, work) {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(help);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(exitCodes.failed));
  try {
    const options = readOptions(args);
    try {
      if (!(await work(options, temporaryDirectory()))) process.exitCode = exitCodes.failed;
    } catch (error) {
      const isUnavailable = error instanceof Unavailable;
      fail(
        isUnavailable ? `not run: ${error.message}` : stackOf(error),
        exitCodes[isUnavailable ? 'unavailable' : 'failed'],
      );
    }
  } catch (error) {
    fail(`${messageOf(error)}\nSee --help.`, exitCodes.wrongOptions);
  }
}

/** @param {unknown} error */
const stackOf = (error) => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** @param {string} text @param {number} code */
function fail(text, code) {
  process.stderr.write(`${text}\n`);
  process.exitCode = code;
}
