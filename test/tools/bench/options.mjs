/** The command line of the benchmark. */
import { parseArgs } from 'node:util';
import { scenarioNames, scenarioOf } from './scenarios.mjs';

/** @typedef {ReturnType<typeof readOptions>['settings']} Settings what is measured, and how often */

export const help = `Usage: BENCH_DATABASE_URL=postgresql://… npm run bench -- [options]

Seeds a database of its own on the server, once, and measures the service (ours) against bare Fastify (bare),
hand-written Fastify and pg (pg), and Prisma handlers (prisma).

  --only one,list      these scenarios: ${scenarioNames.join(', ')}
  --connections 1,32   at so many connections; 1,32,128
  --rounds 3           as often as that, interleaved
  --seconds 2          measured each time, after a quarter of it to warm up
  --rows 200000        sessions in the database
  --log-level warn     LOG_LEVEL of ours
  --growth             ours alone, 1,000,000 rows against 10,000
  --feed               ours alone, the writes with the log of the change feed and without it
  --json [FILE]        the results for machines, in FILE or instead of the tables
  --drop               drop the databases of earlier runs, and end
`;

/** `--json` alone means standard output, which parseArgs has no word for. @param {string[]} args */
function withJsonValue(args) {
  return args.map((arg, index) => {
    const next = args[index + 1];
    return arg === '--json' && (next === undefined || next.startsWith('--')) ? '--json=-' : arg;
  });
}

/** @param {string} name @param {string} text */
function count(name, text) {
  const value = Number(text);
  if (!(Number.isSafeInteger(value) && value > 0)) throw new Error(`--${name} takes whole numbers, not ${text}`);
  return value;
}

/**
 * @param {string[]} args of the command line
 * @throws Error that says which of them cannot be taken
 */
export function readOptions(args) {
  const { values } = parseArgs({
    args: withJsonValue(args),
    options: {
      only: { type: 'string', default: scenarioNames.join(',') },
      connections: { type: 'string', default: '1,32,128' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      rows: { type: 'string', default: '200000' },
      'log-level': { type: 'string', default: 'warn' },
      growth: { type: 'boolean', default: false },
      feed: { type: 'boolean', default: false },
      json: { type: 'string' },
      drop: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { growth, feed, json, drop, help: isHelp } = values;
  const named = values.only.split(',');
  const only = feed ? named.filter((name) => scenarioOf(name).writes) : named;
  only.forEach(scenarioOf);
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds takes a number above 0, not ${values.seconds}`);
  const settings = {
    only,
    connections: values.connections.split(',').map((text) => count('connections', text)),
    rounds: count('rounds', values.rounds),
    seconds,
    rows: count('rows', values.rows),
    logLevel: values['log-level'],
  };
  return { settings, growth, feed, json, drop, isHelp };
}
