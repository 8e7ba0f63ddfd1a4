/** The command line of the trial on Citus. */
import { parseArgs } from 'node:util';

export const help = `Usage: npm run citus -- URL [options]

Checks every operation on a Citus cluster, then writes under load and reads all back that was acknowledged.

  URL  of the coordinator, postgresql://…, with a database for this alone: it is migrated and distributed where it is not,
       and keeps what the run writes. The extension citus is there, and the coordinator knows its workers.

  --seconds 20        of load
  --writers 16        that write at the same time, each on a session of its own
  --against URL       an empty database on a plain PostgreSQL, which takes the same checks and the same load
  --kill COMMAND      a shell command that kills a worker, after a quarter of a second load
  --restart COMMAND   a shell command that brings the worker back, ten seconds later
  --checks TEXT       only the groups of checks whose name holds it
  --no-load           the checks alone

Exits with 1 when a check fails, a write is lost or the service does not heal, with 2 for wrong options, with 77 when
there is no Citus at the URL.

Example:
  npm run citus -- postgresql://postgres@127.0.0.1:5432/trial --seconds 60 \\
    --kill 'docker kill worker-1' --restart 'docker start worker-1'
`;

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {string[]} args @throws what is wrong with them */
export function readOptions(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '20' },
      writers: { type: 'string', default: '16' },
      against: { type: 'string' },
      kill: { type: 'string' },
      restart: { type: 'string' },
      checks: { type: 'string', default: '' },
      'no-load': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { help: isHelp } = values;
  const [url = '', ...more] = positionals;
  if (!isHelp && (url === '' || more.length > 0)) throw new Error('One URL names the coordinator. See --help.');
  const { kill, restart } = values;
  if ((kill === undefined) !== (restart === undefined)) throw new Error('--kill and --restart need each other.');
  return {
    isHelp,
    url: isHelp ? url : postgresUrl(url),
    against: values.against === undefined ? undefined : postgresUrl(values.against),
    seconds: whole('seconds', values.seconds),
    writers: whole('writers', values.writers),
    fault: kill !== undefined && restart !== undefined ? { kill, restart } : undefined,
    checks: values.checks,
    hasLoad: !values['no-load'],
  };
}

/** @param {string} text */
function postgresUrl(text) {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new Error(`A URL begins with postgresql://, and ${text} does not.`);
}

/** @param {string} name @param {string} text */
function whole(name, text) {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number from 1 on, not ${text}.`);
}
