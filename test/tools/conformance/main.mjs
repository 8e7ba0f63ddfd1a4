/** `npm run conformance`: see the help below. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { endAtExit } from '../lib/child.mjs';
import { positiveNumber, wholeNumber } from '../lib/options.mjs';
import { pythonEnvironment } from '../lib/program.mjs';
import { apiKey, startService, webhookSecret } from '../lib/service.mjs';
import { paidSession, startStripeApi } from '../lib/stripe-api.mjs';
import { messageOf, report, runTool, say, Unavailable } from '../lib/tool.mjs';

const version = '4.32.5';
const configuration = fileURLToPath(new URL('.', import.meta.url));

const help = `Usage: npm run conformance -- [options]

Checks the service against its own OpenAPI document with Schemathesis ${version}: every check on every operation, in one run
with a key and in one run without. Uses the server of TEST_DATABASE_URL if it is set, else the embedded database. Needs
Python 3.10 or later, and installs Schemathesis in a temporary folder once, or in the one that TOOLS_CACHE names.

  --examples 10   random requests of each operation in each run
  --seconds 300   random requests for that time in each run, instead of --examples
  --seed 1        repeat an earlier run

Exits with 1 when a check fails or the service logs an error, with 77 when Schemathesis cannot be installed.
`;

/** The runs: settings of the service, and arguments for Schemathesis. */
const runs = [
  { name: 'with a key', settings: {}, args: ['--header', `Authorization: Bearer ${apiKey}`] },
  // A service without keys has no authentication to ignore.
  { name: 'without keys', settings: { API_KEYS: '', API_READ_KEYS: '' }, args: ['--exclude-checks', 'ignored_auth'] },
];

/** @param {string[]} args @returns {string[]} arguments for Schemathesis */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      examples: { type: 'string', default: '10' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
    },
  });
  const { examples, seconds, seed } = values;
  return [
    ...(seconds
      ? ['--max-time', String(positiveNumber('seconds', seconds))]
      : ['--max-examples', String(wholeNumber('examples', examples))]),
    ...(seed ? ['--seed', String(wholeNumber('seed', seed, 0))] : []),
  ];
}

/** Returns the Python that has Schemathesis. */
async function schemathesisPython() {
  try {
    const program = await pythonEnvironment(`schemathesis-${version}`, [`schemathesis==${version}`]);
    return program('python');
  } catch (error) {
    throw new Unavailable(`Schemathesis cannot be installed: ${messageOf(error)}`);
  }
}

/**
 * Runs Schemathesis against a service.
 *
 * @param {string} python @param {string} directory for its files @param {string} url @param {readonly string[]} args
 * @returns {Promise<string[]>} its failure
 */
async function check(python, directory, url, args) {
  const config = ['--config-file', `${configuration}schemathesis.toml`, 'run', `${url}/openapi.json`];
  const child = spawn(python, ['-m', 'schemathesis.cli', ...config, '--checks', 'all', '--no-color', ...args], {
    cwd: directory,
    env: {
      ...process.env,
      ...{ PYTHONPATH: configuration, PYTHONDONTWRITEBYTECODE: '1', SCHEMATHESIS_HOOKS: 'hooks' },
      STRIPE_WEBHOOK_SECRET: webhookSecret,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  endAtExit(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) return [`Schemathesis ended with ${code}`];
  return /[1-9]\d* generated/.test(output) ? [] : ['Schemathesis sent no request'];
}

await runTool(help, readOptions, async (args, directory) => {
  const python = await schemathesisPython();
  // The stub has every session whose id looks like one of Stripe's.
  const stripe = await startStripeApi({
    find: (id) => (id.startsWith('cs_') ? paidSession(id, { livemode: id.startsWith('cs_live_') }) : undefined),
    keys: 'sk_test_of_the_tools,sk_live_of_the_tools',
  });
  const results = [];
  for (const run of runs) {
    say(`\n== ${run.name}`);
    // Without load shedding: a 503 of a busy machine says nothing about the contract.
    const service = await startService({ ...stripe.settings, MAX_EVENT_LOOP_DELAY_MS: '0', ...run.settings });
    const failures = await check(python, directory, service.url, [...run.args, ...args]);
    await service.end('SIGTERM');
    failures.push(...service.errors().map((line) => `the service logged: ${line}`));
    await service.stop();
    results.push({ name: run.name, failures });
  }
  stripe.stop();
  for (const { name, failures } of results) report(name, failures);
  return results.every(({ failures }) => failures.length === 0);
});
