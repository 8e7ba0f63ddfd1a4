import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Stripe from 'stripe';
import { expect, test } from 'vitest';
import YAML from 'yaml';
import { environmentVariables } from '../../src/config.js';
import { contract, expectComponent, expectSession } from '../support/contract.js';
import { readCurl } from '../support/curl.js';
import { type CodeBlock, codeBlocks, commands, pages } from '../support/markdown.mjs';
import { startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';

/** Every command and snippet of the documentation; manifests.test.ts checks the manifests and the proxies. */

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

const { api, url, database } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const base = 'http://127.0.0.1:3000';
const delayed = rawSession({ id: 'cs_test_sample_failed', status: 'complete', payment_status: 'unpaid' });
await deliver(api, rawEvent(delayed, { type: 'checkout.session.async_payment_failed' })).expect(200);
await deliver(api, rawEvent(rawSession({ id: 'cs_test_sample_paid' }))).expect(200);

/** Programs that the documentation starts and this test does not, with the reason. */
const notRun: Readonly<Record<string, string>> = {
  npm: 'it installs, serves, or needs Stripe or a database; the script and its options are looked up',
  node: 'it works on the data of an installation; its file and options are looked up, and -p is run',
  docker: 'it needs a daemon; the file that it runs in the container and its options are looked up',
  pg_dump: 'it needs a server of its own',
  pg_restore: 'it needs a server of its own',
  psql: 'it needs a server of its own; its file is looked up, and its queries are run',
  pip: '`npm run clients` runs it: it needs the network',
  npx: '`npm run clients` runs it: it needs the network',
  'openapi-generator-cli': '`npm run clients` runs it: it needs Java',
  'openapi-python-client': '`npm run clients` runs it: it needs Python',
  openssl: 'it makes a key, and is not on every machine',
  '(umask': 'it makes keys with openssl',
  stripe: 'it needs an account at Stripe',
};

/** The tests and tools that run the snippets of a page as printed, by page and language. They read the page themselves. */
const ranElsewhere: Readonly<Record<string, string[]>> = {
  'docs/clients.md': ['rust', 'python', 'typescript'],
  'docs/stripe-sdks.md': ['python', 'rust'],
  'docs/changes.md': ['python', 'js'],
};

/** Snippets that nothing runs: the packages that they need come from registries that no test uses. */
const notRunAnywhere: Readonly<Record<string, string[]>> = { 'docs/stripe-sdks.md': ['ruby', 'go', 'java'] };

/** Variables of tools, which the service does not read. */
const toolVariables = ['BENCH_DATABASE_URL'];

const checks: Readonly<Record<string, (block: CodeBlock) => Promise<void> | void>> = {
  json: ({ text }) => {
    const value = JSON.parse(text);
    if (String(value.type).startsWith('urn:problem:')) expectComponent('Problem', value);
    for (const one of value.results ?? [value]) if ('djstripe_id' in one) expectSession(one);
  },
  yaml: ({ text }) => {
    for (const document of YAML.parseAllDocuments(text)) expect(document.errors).toEqual([]);
  },
  console: async (block) => {
    for (const command of commands(block)) await tryCommand(block.page, command);
  },
  javascript: async ({ text }) => {
    const pointed = text.replace('3000', new URL(url).port).replace('process.env.KEY', "'sk_test_of_the_reader'");
    const body = pointed.replace("import Stripe from 'stripe';", '');
    const run = new AsyncFunction('Stripe', `${body}; return session;`);
    expect(await run(Stripe)).toMatchObject({ id: 'cs_test_sample_paid', object: 'checkout.session' });
  },
  // test/database/rights.test.ts runs it.
  sql: ({ page }) => expect(page).toBe('docs/operations.md'),
  // The class that the Java client is compiled with.
  java: ({ text }) => expect(testFiles.some((path) => path.endsWith('.java') && read(path) === text)).toBe(true),
  // A tree of folders.
  text: ({ text }) => {
    for (const [, path = ''] of text.matchAll(/^(\S+?)\/? /gm))
      expect(existsSync(new URL(path, root)), path).toBe(true);
  },
  caddyfile: () => {},
  nginx: () => {},
};

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (stripe: typeof Stripe) => Promise<unknown>;

const testFiles = readdirSync(new URL('test/', root), { recursive: true, encoding: 'utf8' }).map(
  (path) => `test/${path.replaceAll('\\', '/')}`,
);

async function tryCommand(page: string, command: string): Promise<void> {
  const [variables = ''] = /^(?:[A-Z_]+=\S+ )*/.exec(command) ?? [];
  for (const [, name = ''] of variables.matchAll(/([A-Z_]+)=/g))
    expect([...environmentVariables, ...toolVariables]).toContain(name);
  const [program = '', ...args] = command.slice(variables.length).split(' ');
  // test/changes/clients.test.ts runs it: it ends with the stream.
  if (command.startsWith('curl -N ')) return expect(page).toBe('docs/changes.md');
  if (program === 'curl') return tryCurl(page, command);
  expect(Object.keys(notRun), `what starts "${command}"?`).toContain(program);
  const [, script] = /\bnpm (?:run )?(?:--silent )?([\w:-]+)/.exec(command) ?? [];
  const isOurs = program === 'npm' && script !== undefined && !['install', 'pkg'].includes(script);
  if (isOurs) expect(scripts).toHaveProperty([script]);
  const file = isOurs
    ? /\S+js$/.exec(scripts[script] ?? '')?.[0]
    : /\bdist\/cli\/[\w-]+\.js\b/.exec(args.join(' '))?.[0];
  if (file) expectOptions(file, command);
  const [, expression] = /^node -p "(.+)"$/.exec(command) ?? [];
  if (expression) expect(spawnSync(process.execPath, ['-p', expression]).status).toBe(0);
  const [, path] = /\bpsql .*--file (\S+)/.exec(command) ?? [];
  if (path) expect(existsSync(new URL(path, root)), path).toBe(true);
  const [, query] = /\bpsql .*(?:-c|--command) "(SELECT [^"]+)"/.exec(command) ?? [];
  if (query) await database.query({ text: query, values: [] });
}

const helps = new Map<string, string>();

/** Expects a program to know the options that a command gives it, by its own help. */
function expectOptions(file: string, command: string): void {
  const given = command.split(new RegExp(`${file} | -- `))[1] ?? '';
  for (const [option] of given.matchAll(/(?<=^| )--[\w-]+/g)) {
    const path = fileURLToPath(new URL(file, root));
    const help = helps.get(file) ?? spawnSync(process.execPath, [path, '--help'], { encoding: 'utf8' }).stdout;
    helps.set(file, help);
    expect(help, `${option} of ${file}`).toContain(option);
  }
}

/** Sends a request of docs/ to the service. Those of the README need its own sessions: test/readme.test.ts sends them. */
async function tryCurl(page: string, command: string): Promise<void> {
  const { url: address, method } = readCurl(command);
  expect(address).toMatch(`${base}/`);
  const { pathname } = new URL(address);
  if (page === 'README.md') expect(await isServed(method, pathname), command).toBe(true);
  else expect([command, (await send(command)).status < 300]).toEqual([command, true]);
}

/** Whether the contract has an operation, or the service a page. */
async function isServed(method: string, path: string): Promise<boolean> {
  const isOperation = Object.entries<object>(contract.paths).some(([template, operations]) => {
    const pattern = new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`);
    return pattern.test(path) && method.toLowerCase() in operations;
  });
  return isOperation || (method === 'GET' && (await fetch(`${url}${path}`)).ok);
}

async function send(command: string) {
  const { url: address, body = null, ...request } = readCurl(command);
  const response = await fetch(address.replace(base, url), { ...request, body });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}

const blocks = pages.flatMap(codeBlocks);

test.each(blocks.map((block) => [block.place, block] as const))('the code at %s holds', async (_, block) => {
  const { page, language } = block;
  if (ranElsewhere[page]?.includes(language) || notRunAnywhere[page]?.includes(language)) return;
  const check = checks[language];
  expect(check, `nothing is known of ${language || 'a block without a language'}`).toBeDefined();
  await check?.(block);
});

test.each(Object.keys(ranElsewhere))('a test or tool reads %s', (page) => {
  const readers = testFiles.filter((path) => /\.(ts|mjs)$/.test(path) && !path.startsWith('test/docs/'));
  expect(readers.filter((path) => read(path).includes(`codeBlocks('${page}')`))).not.toEqual([]);
});

test('the payment that failed is answered as printed', async () => {
  const isOfIt = ({ text }: CodeBlock) => text.includes('cs_test_sample_failed');
  const [request, answer] = codeBlocks('docs/api.md').filter(isOfIt) as [CodeBlock, CodeBlock];
  expect((await send(commands(request)[0] as string)).body).toEqual(JSON.parse(answer.text));
});

test('the error is answered as printed', async () => {
  const [block] = codeBlocks('docs/api.md').filter(({ text }) => text.includes('urn:problem:'));
  const { request_id: _, ...printed } = JSON.parse(block?.text ?? '');
  expect((await send(`curl "${base}${printed.instance}?custmer=cus_1"`)).body).toMatchObject(printed);
});
