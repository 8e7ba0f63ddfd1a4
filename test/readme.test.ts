import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readCurl } from './support/curl.js';
import { type CodeBlock, codeBlocks, commands } from './support/markdown.mjs';
import { runCommandLine } from './support/process.js';
import { startService } from './support/service.js';

/** The README alone. test/docs/ checks the code, links and tables of all pages. */

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const lines = readme.trimEnd().split('\n');
const blocks = codeBlocks('README.md');

/** Returns the first block of a language that holds a text. */
function blockWith(language: string, text: string): CodeBlock {
  const block = blocks.find((one) => one.language === language && one.text.includes(text));
  if (!block) throw new Error(`the README has no ${language} block with ${text}`);
  return block;
}

/** Sends a curl command of the README to a service of this test, and returns the body of the answer. */
async function send(command: string, service: string): Promise<Record<string, unknown>> {
  const { url, body = null, ...request } = readCurl(command);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:3000\//);
  const response = await fetch(url.replace('http://127.0.0.1:3000', service), { ...request, body });
  expect(response.status).toBeLessThan(300);
  return (await response.json()) as Record<string, unknown>;
}

/** Returns a value as JSON without its times, which differ from those in the README. */
const timeless = (value: unknown) => JSON.stringify(value).replaceAll(/"\d{4}-\d\d-\d\dT[^"]+"/g, '"time"');

test('the README is short', () => {
  expect(lines.length).toBeLessThanOrEqual(220);
  expect(lines.filter((line) => [...line].length > 140)).toEqual([]);
});

test('the table of contents names every section, in order', () => {
  const sections = lines.filter((line) => line.startsWith('## ')).map((line) => line.slice(3));
  const contents = lines.flatMap((line) => /^- \[(.+)\]\((#.+)\)$/.exec(line)?.slice(1) ?? []);
  const anchorOf = (section: string) => `#${section.toLowerCase().replaceAll(' ', '-')}`;
  expect(contents).toEqual(sections.flatMap((section) => [section, anchorOf(section)]));
});

test('the first requests are answered as printed', async () => {
  const { url } = await startService();
  const [create = ''] = commands(blockWith('console', '-X POST'));
  const created = await send(create, url);
  expect(timeless(created)).toBe(timeless(JSON.parse(blockWith('json', 'djstripe_id').text)));
  const [patch = '', find = '', read = ''] = commands(blockWith('console', '-X PATCH'));
  await send(patch, url);
  const session = { ...created, djstripe_updated: expect.any(String), customer: 'cus_1', metadata: { order: '6735' } };
  expect(await send(find, url)).toEqual({ count: 1, next: null, previous: null, results: [session] });
  expect(await send(read, url)).toEqual(session);
});

test('the sample events are answered, and the payment is read back, as printed', async () => {
  const start = commands(blockWith('console', 'whsec_'))[0] ?? '';
  const [, STRIPE_WEBHOOK_SECRETS = ''] = /^STRIPE_WEBHOOK_SECRETS=(\S+) npm start$/.exec(start) ?? [];
  const { url } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS } });
  const [, ...printed] = blockWith('console', 'npm run try-webhook').text.trimEnd().split('\n');
  const { stdout, stderr } = await runCommandLine('try-webhook', ['--url', url], {});
  expect([stderr, stdout.split('\n').slice(0, printed.length)]).toEqual(['', printed]);
  const [read = ''] = commands(blockWith('console', '/payment'));
  const payment = blockWith('json', 'payment_failed');
  expect(timeless(await send(read, url))).toBe(timeless(JSON.parse(payment.text)));
});
