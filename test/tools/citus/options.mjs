/** The command line of the trial on Citus. */
import { parseArgs } from 'node:util';
import { wholeNumber } from '../lib/options.mjs';

export const help = `Usage: npm run citus -- URL [options]

Checks every operation on a Citus cluster. Then writes under load, and reads back every acknowledged write.

  URL                 of the coordinator, postgresql://…, with a database for this tool alone. The database has the
                      extension citus, and the coordinator knows its workers. The tool migrates the database, distributes
                      its tables, and leaves its rows there.

  --seconds 20        of load
  --writers 16        at the same time, each on a session of its own
  --against URL       an empty database on a plain PostgreSQL, for the same checks and the same load
  --kill COMMAND      a shell command that kills a worker, in a second load after a quarter of its time
  --restart COMMAND   a shell command that starts the worker again, ten seconds later
  --checks TEXT       only the groups of checks with this text in their name
  --no-load           only the checks

Exits with 1 when a check fails, a write is lost or the service does not recover; with 2 for wrong options; with 77 when
the URL leads to no Citus.

Example:
  npm run citus -- postgresql://postgres@127.0.0.1:5432/trial --seconds 60 \\
    --kill 'docker kill worker-1' --restart 'docker start worker-1'
`;

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {string[]} args */
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
    },
  });
  const [url = '', ...more] = positionals;
  if (url === '' || more.length > 0) throw new Error('The tool takes one URL, that of the coordinator.');
  const { kill, restart } = values;
  if ((kill === undefined) !== (restart === undefined)) throw new Error('--kill and --restart go together.');
  return {
    url: postgresUrl(url),
    against: values.against === undefined ? undefined : postgresUrl(values.against),
    seconds: wholeNumber('seconds', values.seconds),
    writers: wholeNumber('writers', values.writers),
    fault: kill !== undefined && restart !== undefined ? { kill, restart } : undefined,
    checks: values.checks,
    hasLoad: !values['no-load'],
  };
}

/** @param {string} text */
function postgresUrl(text) {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new Error(`${text} is not a postgresql:// URL.`);
}
