import { parseArgs } from 'node:util';
import { positiveNumber, wholeNumber } from '../lib/options.mjs';
import { scenarioNames, scenarioOf } from './scenarios.mjs';

/** @typedef {ReturnType<typeof readOptions>['settings']} Settings of the measurements */

export const help = `Usage: BENCH_DATABASE_URL=postgresql://… npm run bench -- [options]

Measures the service (ours) against a bare Fastify (bare), hand-written Fastify and pg (pg), and Prisma handlers (prisma),
all in one run on one machine. Seeds a database of its own on the server, and keeps it for later runs.

  --only one,list      scenarios to measure: ${scenarioNames.join(', ')}
  --connections 1,32   numbers of connections; by default 1,32,128
  --rounds 3           measurements of each scenario; the rounds are interleaved
  --seconds 2          of each measurement, after a quarter of that time to warm up
  --rows 200000        sessions in the database
  --log-level warn     LOG_LEVEL of the service
  --growth             measure only the service, with 1,000,000 rows against 10,000
  --feed               measure only the service's writes, with and without the log of the change feed
  --json [FILE]        write every result as JSON to FILE, or to standard output in place of the tables
  --drop               only drop the databases of earlier runs
`;

/**
 * Gives `--json` without a file the value `-` for standard output, because parseArgs has no optional values.
 *
 * @param {string[]} args
 */
function withJsonValue(args) {
  return args.map((arg, index) => {
    const next = args[index + 1];
    return arg === '--json' && (next === undefined || next.startsWith('--')) ? '--json=-' : arg;
  });
}

/** @param {string[]} args of the command line */
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
    },
  });
  const { growth, feed, json, drop } = values;
  const serverUrl = process.env.BENCH_DATABASE_URL;
  if (!serverUrl)
    throw new Error('Set BENCH_DATABASE_URL to a PostgreSQL server: postgresql://user@127.0.0.1/postgres');
  const scenarios = values.only.split(',').map((name) => ({ name, ...scenarioOf(name) }));
  const settings = {
    only: scenarios.filter(({ writes }) => !feed || writes).map(({ name }) => name),
    connections: values.connections.split(',').map((text) => wholeNumber('connections', text)),
    rounds: wholeNumber('rounds', values.rounds),
    seconds: positiveNumber('seconds', values.seconds),
    rows: wholeNumber('rows', values.rows),
    logLevel: values['log-level'],
  };
  return { serverUrl, settings, growth, feed, json, drop };
}
