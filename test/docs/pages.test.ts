import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { environmentVariables, secretFileVariables } from '../../src/config.js';
import { anchors, links, pages, prose } from '../support/markdown.mjs';

/** The documentation apart from its code: links, generated tables, messages that it quotes. */

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** Messages in the documentation that others write: PostgreSQL, its driver, Prometheus, curl, Stripe. */
const othersMessages = [
  ...['connect ECONNREFUSED', 'canceling statement due to statement timeout', 'permission denied for table …'],
  ...['cannot execute … in a read-only transaction', 'timeout exceeded when trying to connect', 'idle in transaction'],
  ...['server returned HTTP status 401 Unauthorized', 'Empty reply from server', 'Invalid API Key provided'],
];

test('the messages of the service are quoted as it writes them', () => {
  const source = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('generated'))
    .map((path) => read(`src/${path.replaceAll('\\', '/')}`))
    .join('\n');
  const spans = ['docs/monitoring.md', 'docs/stripe.md'].flatMap((page) =>
    prose(page).flatMap(({ text }) => [...text.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)),
  );
  // Three words or more, as no name and no command has.
  const messages = spans.filter(
    (span) => /^[A-Za-z]+ [a-z-]+ [\w .,:;'…-]+$/.test(span) && !/^(npm|docker|curl|stripe|promtool) /.test(span),
  );
  expect(messages.length).toBeGreaterThan(10);
  const ours = messages.filter((message) => !othersMessages.includes(message));
  const isOurs = (message: string) =>
    message.split('…').every((part) => source.includes(part.trim().replace(/\.$/, '')));
  expect(ours.filter((message) => !isOurs(message))).toEqual([]);
});

/** Variables of the compose file, of tools, of OpenTelemetry, of Django and dj-stripe, and a misspelt one. */
const othersVariables =
  /^(GRAFANA_PORT|PROMETHEUS_(PORT|KEY)|POSTGRES_PASSWORD|(TEST|BENCH)_DATABASE_URL|PROOF_\w+|PG_BIN|OTEL_\w+|TIME_ZONE|DJSTRIPE_\w+|STRIPE_(TEST|LIVE)_\w+|DATABSE_URL)$/;

test.each(pages)('the variables that %s names exist', (page) => {
  const named = prose(page).flatMap(({ text }) =>
    [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`/g)].map(([, name = '']) => name),
  );
  const known = [...environmentVariables, ...secretFileVariables];
  expect(named.filter((name) => !known.includes(name) && !othersVariables.test(name))).toEqual([]);
});

test.each(pages)('every link of %s leads somewhere', (page) => {
  for (const { place, target } of links(page)) {
    if (/^https?:/.test(target)) {
      expect(target, place).toMatch(/^https:|^http:\/\/127\.0\.0\.1:/);
      continue;
    }
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : posix.join(posix.dirname(page), path);
    expect(existsSync(new URL(file, root)), `${place}: ${target}`).toBe(true);
    if (anchor !== undefined) expect(anchors(file), `${place}: ${target}`).toContain(anchor);
  }
});

test.each(pages)('no line of %s is over 140 characters', (page) => {
  const long = prose(page).filter(({ text }) => text.replaceAll(/\]\([^)]*\)/g, '').length > 140);
  expect(long.filter(({ text }) => !/^ *\|/.test(text)).map(({ place }) => place)).toEqual([]);
});

test('the generated tables say what the code says (npm run docs rewrites them)', () => {
  const tool = fileURLToPath(new URL('test/tools/docs/main.mjs', root));
  const { stdout, stderr, status } = spawnSync(process.execPath, [tool, '--check'], { encoding: 'utf8' });
  expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: '', status: 0 });
});
