/** `npm run bench`: measures the service against what would be written instead, in one run on one machine. */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { agree } from './agreement.mjs';
import { dropDatabases, prepareDatabase } from './database.mjs';
import { environmentOf, growthReport, report } from './report.mjs';
import { runGrowth, runRounds } from './rounds.mjs';
import { scenarioNames, scenarioOf } from './scenarios.mjs';
import { stopAll } from './services.mjs';

const help = `Usage: BENCH_DATABASE_URL=postgresql://… npm run bench -- [options]

Seeds a database of its own on the server, once, and measures the service (ours) against bare Fastify (bare),
hand-written Fastify and pg (pg), and Prisma handlers (prisma).

  --only one,list      these scenarios: ${scenarioNames.join(', ')}
  --connections 1,32   at so many connections; 1,32,128
  --rounds 3           as often as that, interleaved
  --seconds 2          measured each time, after a quarter of it to warm up
  --rows 200000        sessions in the database
  --log-level warn     LOG_LEVEL of ours
  --growth             ours alone, 1,000,000 rows against 10,000
  --json [FILE]        the results for machines, in FILE or instead of the tables
  --drop               drop the databases of earlier runs, and end
`;

const { values } = parseArgs({
  args: withJsonValue(process.argv.slice(2)),
  options: {
    only: { type: 'string' },
    connections: { type: 'string', default: '1,32,128' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    rows: { type: 'string', default: '200000' },
    'log-level': { type: 'string', default: 'warn' },
    growth: { type: 'boolean', default: false },
    json: { type: 'string' },
    drop: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

/** `--json` alone means standard output, which parseArgs has no word for. @param {string[]} args */
function withJsonValue(args) {
  return args.map((arg, index) => {
    const next = args[index + 1];
    return arg === '--json' && (next === undefined || next.startsWith('--')) ? '--json=-' : arg;
  });
}

/** @param {string} name @param {string} text */
function positive(name, text) {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes numbers above 0, not ${text}`);
  return value;
}

function settingsOf() {
  const only = values.only?.split(',') ?? scenarioNames;
  only.forEach(scenarioOf);
  return {
    only,
    connections: values.connections.split(',').map((text) => positive('connections', text)),
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    rows: positive('rows', values.rows),
    logLevel: values['log-level'],
  };
}

const progress = (/** @type {string} */ line) => process.stderr.write(`${line}\n`);

/** @param {string} serverUrl @param {ReturnType<typeof settingsOf>} settings */
async function compare(serverUrl, settings) {
  const url = await prepareDatabase(serverUrl, settings.rows, true, progress);
  const results = await runRounds(url, settings, agree, progress);
  return { settings, environment: await environmentOf(url), ...report(results) };
}

/** @param {string} serverUrl @param {ReturnType<typeof settingsOf>} settings */
async function grow(serverUrl, settings) {
  const sizes = [10_000, 1_000_000];
  const urls = [];
  for (const rows of sizes) urls.push(await prepareDatabase(serverUrl, rows, false, progress));
  const results = await runGrowth(urls, settings, progress);
  return {
    settings: { ...settings, rows: sizes },
    environment: await environmentOf(urls[0]),
    ...growthReport(results),
  };
}

/** Others on the machine are in every figure. Returns how many there were. */
function warnWhenBusy() {
  const [load = 0] = loadavg();
  if (load > cpus().length / 4) progress(`the machine is busy (load ${load.toFixed(1)}): these figures will not hold`);
  return load;
}

async function run() {
  const serverUrl = process.env.BENCH_DATABASE_URL;
  if (values.help) return process.stdout.write(help);
  if (!serverUrl) throw new Error('BENCH_DATABASE_URL names a PostgreSQL server: postgresql://user@127.0.0.1/postgres');
  if (values.drop) return progress(`dropped ${(await dropDatabases(serverUrl)).join(', ') || 'nothing'}`);
  const settings = settingsOf();
  const load = warnWhenBusy();
  const { text, ...outcome } = await (values.growth ? grow : compare)(serverUrl, settings);
  const json = `${JSON.stringify({ load, ...outcome }, undefined, 2)}\n`;
  if (values.json === '-') return process.stdout.write(json);
  if (values.json) writeFileSync(values.json, json);
  process.stdout.write(text);
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${/** @type {Error} */ (error).message}\n`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
