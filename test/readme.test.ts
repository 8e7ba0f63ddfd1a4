import { existsSync, readFileSync } from 'node:fs';
import Stripe from 'stripe';
import { expect, test } from 'vitest';
import YAML from 'yaml';
import { environmentVariables } from '../src/config.js';
import { catalogue } from '../src/errors.js';
import { readmeSnippets, stripeSnippets } from './clients/snippets.mjs';
import { contract, expectComponent } from './support/contract.js';
import { readCurl } from './support/curl.js';
import { type CodeBlock, codeBlocks, commands, pages } from './support/markdown.mjs';
import { startService } from './support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from './support/stripe.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test.each(environmentVariables)('the README explains the variable %s', (name) => {
  expect(readme).toMatch(new RegExp(`^\\| .*\`${name}\``, 'm'));
});

test.each(Object.entries(catalogue))('the README lists the error %s', (code, { status }) => {
  expect(readme).toMatch(new RegExp(`^\\| ${status} +\\| \`urn:problem:${code}\` +\\|`, 'm'));
});

test.each(Object.keys(contract.paths))('the README lists the operations of %s', (path) => {
  for (const [method, { operationId }] of Object.entries<{ operationId: string }>(contract.paths[path])) {
    expect(readme).toContain(`${method.toUpperCase()} ${path}`);
    expect(readme).toContain(`\`${operationId}\``);
  }
});

const { api, url } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });
const delayed = rawSession({ id: 'cs_test_delayed', status: 'complete', payment_status: 'unpaid' });
await deliver(api, rawEvent(delayed, { type: 'checkout.session.async_payment_failed' })).expect(200);
const base = 'http://127.0.0.1:3000';

/** The blocks that `npm run clients` compiles and runs as printed: they need what node_modules does not have. */
const ranByClients = [...readmeSnippets.map(({ code }) => code), ...Object.values(stripeSnippets)];

/** The consumers of the change feed and the command that follows it, which test/changes/clients.test.ts runs as printed. */
const ranByFeed = codeBlocks('docs/changes.md').map(({ text }) => text);

/** Programs that the commands of the documentation start and this test does not, with the reason. */
const notRun: Readonly<Record<string, string>> = {
  npm: 'it installs, serves for ever or needs Stripe; its scripts are looked up',
  node: 'it works on the data of an installation; its file is looked up',
  pip: '`npm run clients` runs it: it needs the network',
  npx: '`npm run clients` runs it: it needs the network',
  'openapi-generator-cli': '`npm run clients` runs it: it needs Java',
  'openapi-python-client': '`npm run clients` runs it: it needs Python',
  docker: 'it needs a daemon',
  stripe: 'it needs an account at Stripe',
  psql: 'it needs a server of its own to change',
  '(umask': 'it makes keys with openssl',
  kubectl: 'it needs a cluster',
};

const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const checks: Readonly<Record<string, (block: CodeBlock) => Promise<void> | void>> = {
  json: ({ text }) => {
    const value = JSON.parse(text);
    if (String(value.type).startsWith('urn:problem:')) expectComponent('Problem', value);
  },
  yaml: ({ text }) => {
    for (const document of YAML.parseAllDocuments(text)) expect(document.errors).toEqual([]);
  },
  console: async (block) => {
    for (const command of commands(block)) await tryCommand(command);
  },
  javascript: async ({ text }) => {
    await deliver(api, rawEvent(rawSession({ id: 'cs_test_1' }))).expect(200);
    const pointed = text.replace('3000', new URL(url).port).replace('process.env.KEY', "'sk_test_of_the_reader'");
    const body = pointed.replace("import Stripe from 'stripe';", '');
    const run = new AsyncFunction('Stripe', `${body}; return session;`);
    expect(await run(Stripe)).toMatchObject({ id: 'cs_test_1', object: 'checkout.session' });
  },
  // Stripe's SDKs for these come from registries that no test uses.
  ...Object.fromEntries(['ruby', 'go', 'java'].map((language) => [language, () => {}])),
  // test/database/rights.test.ts runs it.
  sql: ({ text }) => expect(readme).toContain(text),
  ...Object.fromEntries(
    ['rust', 'python', 'typescript'].map((language) => [
      language,
      ({ text }: CodeBlock) => expect([...ranByClients, ...ranByFeed]).toContain(text),
    ]),
  ),
  js: ({ text }) => expect(ranByFeed).toContain(text),
};

async function tryCommand(command: string): Promise<void> {
  const [program = '', ...args] = command.replace(/^(?:[A-Z_]+=\S+ )+/, '').split(' ');
  // It ends with the stream.
  if (command.startsWith('curl -N ')) return expect(ranByFeed.join('')).toContain(command);
  if (program === 'curl') {
    const { status } = await send(command);
    expect([command, status < 300]).toEqual([command, true]);
    return;
  }
  expect(Object.keys(notRun), `what starts "${command}"?`).toContain(program);
  const script = /\bnpm (?:run )?(?:--silent )?([\w:-]+)/.exec(command)?.[1];
  if (program === 'npm' && script !== 'install' && script !== 'pkg') expect(scripts).toHaveProperty([script ?? '']);
  const file = /dist\/(cli\/[\w-]+)\.js/.exec(args.join(' '))?.[1];
  if (file) expect(existsSync(new URL(`../src/${file}.ts`, import.meta.url))).toBe(true);
}

/** Sends a request of the documentation to a service of this test, and returns its answer. */
async function send(command: string) {
  const { url: address, ...request } = readCurl(command);
  expect(address).toMatch(`${base}/`);
  const { body = null, ...rest } = request;
  const response = await fetch(address.replace(base, url), { ...rest, body });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (stripe: typeof Stripe) => Promise<unknown>;

const blocks = pages.flatMap(codeBlocks);

test('the documentation has code in it', () => expect(blocks.length).toBeGreaterThan(20));

test.each(blocks.map((block) => [block.place, block] as const))('the code at %s holds', async (_, block) => {
  const check = checks[block.language];
  expect(check, `nothing is known of ${block.language || 'a block without a language'}`).toBeDefined();
  await check?.(block);
});

test('the payment that failed is answered as printed', async () => {
  const isOfIt = ({ text }: CodeBlock) => text.includes('cs_test_delayed');
  const [request, answer] = codeBlocks('README.md').filter(isOfIt) as [CodeBlock, CodeBlock];
  expect((await send(commands(request)[0] as string)).body).toEqual(JSON.parse(answer.text));
});

test('the first requests are answered as printed', async () => {
  const { url: own } = await startService();
  const first = codeBlocks('README.md').filter(({ text, language }) => language === 'json' || text.includes('$ curl'));
  const [create, created, patch, find, found] = first as [CodeBlock, CodeBlock, CodeBlock, CodeBlock, CodeBlock];
  const answers = [];
  for (const block of [create, patch, find]) {
    const { url: address, body = null, ...request } = readCurl(commands(block)[0] as string);
    answers.push(await (await fetch(address.replace(base, own), { ...request, body })).json());
  }
  // All but the times of the example.
  const timeless = (value: unknown) => JSON.stringify(value).replaceAll(/"\d{4}-\d\d-\d\dT[^"]+"/g, '"time"');
  expect(timeless(answers[0])).toBe(timeless(JSON.parse(created.text)));
  expect(timeless(answers[2])).toBe(timeless(JSON.parse(found.text)));
});
