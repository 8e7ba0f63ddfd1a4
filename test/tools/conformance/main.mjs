/**
 * Holds the running service to its own OpenAPI document with Schemathesis: every check, every operation, once with
 * keys and once as a program on this machine without one. Schemathesis is a Python program; a virtual environment for
 * it is made in the temporary directory, once.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startService } from './service.mjs';

const version = '4.32.5';
const settings = fileURLToPath(new URL('./', import.meta.url));
const webhookSecret = 'whsec_conformance';
const key = 'conformance-key';

const help = `Usage: npm run conformance -- [options]

Checks the service against its OpenAPI document with Schemathesis ${version} (needs Python 3.10 or later). On the server of
TEST_DATABASE_URL when it is set, else on the embedded database.

  --examples 10     random requests of each operation, in each of the two runs
  --seconds 300     instead: random requests until each of the two runs has taken that long
  --seed 1          repeats a run
`;

/** Who asks: the environment of the service, and what Schemathesis is told beyond its settings. */
const runs = [
  { name: 'with a key', environment: { API_KEYS: key }, options: ['--header', `Authorization: Bearer ${key}`] },
  // Without keys there is no authentication that could be ignored.
  { name: 'anonymous', environment: {}, options: ['--exclude-checks', 'ignored_auth'] },
];

/** The exit code of a run for which something of the machine is missing. */
const notRun = 77;

/** The Python that has Schemathesis. A version that is half installed is installed again. */
function python() {
  const directory = join(tmpdir(), `schemathesis-${version}`);
  const program = join(directory, 'bin', 'python');
  const complete = join(directory, 'complete');
  if (!existsSync(complete)) {
    process.stdout.write(`installing Schemathesis ${version} in ${directory}\n`);
    try {
      execFileSync('python3', ['-m', 'venv', '--clear', directory], { stdio: 'inherit' });
      execFileSync(program, ['-m', 'pip', 'install', '--quiet', `schemathesis==${version}`], { stdio: 'inherit' });
    } catch (error) {
      process.stdout.write(`not run: ${/** @type {Error} */ (error).message}\n`);
      process.exit(notRun);
    }
    writeFileSync(complete, version);
  }
  return program;
}

/**
 * @param {string} program @param {string} url of the service @param {readonly string[]} options
 * @returns {Promise<{ code: number, cases: number }>}
 */
async function check(program, url, options) {
  const scratch = await mkdtemp(join(tmpdir(), 'checkout-session-schemathesis-'));
  const args = ['--config-file', join(settings, 'schemathesis.toml'), 'run', `${url}/openapi.json`];
  const child = spawn(program, ['-m', 'schemathesis.cli', ...args, '--checks', 'all', '--no-color', ...options], {
    cwd: scratch,
    env: {
      ...process.env,
      ...{ PYTHONPATH: settings, PYTHONDONTWRITEBYTECODE: '1', SCHEMATHESIS_HOOKS: 'hooks' },
      STRIPE_WEBHOOK_SECRET: webhookSecret,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = await once(child, 'close');
  await rm(scratch, { recursive: true, force: true });
  return { code, cases: Number(/(\d+) generated/.exec(output)?.[1] ?? 0) };
}

/** @param {string[]} generation @returns {Promise<boolean>} whether nothing was found */
async function conformance(generation) {
  const program = python();
  const results = [];
  for (const { name, environment, options } of runs) {
    process.stdout.write(`\n== ${name}\n`);
    const service = await startService({ ...environment, STRIPE_WEBHOOK_SECRETS: webhookSecret });
    const { code, cases } = await check(program, service.url, [...options, ...generation]);
    await service.stop();
    results.push({ name, cases, isGood: code === 0 && cases > 0 && service.errors().length === 0 });
    for (const line of service.errors()) process.stdout.write(`the service logged: ${line}\n`);
  }
  for (const { name, cases, isGood } of results) {
    process.stdout.write(`${isGood ? 'passed' : 'FAILED'}: ${name}, ${cases} requests\n`);
  }
  return results.every(({ isGood }) => isGood);
}

const { values } = parseArgs({
  options: {
    examples: { type: 'string', default: '10' },
    seconds: { type: 'string' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(help);
} else {
  const amount = values.seconds ? ['--max-time', values.seconds] : ['--max-examples', values.examples];
  process.exitCode = (await conformance([...amount, ...(values.seed ? ['--seed', values.seed] : [])])) ? 0 : 1;
}
