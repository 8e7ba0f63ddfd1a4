import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentVariables, parseConfig } from '../src/config.js';

/** What can be known of the image and the compose file without building them. */

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');
const compose = parse(read('docker-compose.yml'));
const { service, postgres } = compose.services;
const variables: Record<string, string> = service.environment;

test('the compose file sets variables that there are', () => {
  // Of the driver: the password that is not in the URL.
  const known = [...environmentVariables, 'PGPASSWORD'];
  expect(Object.keys(variables).filter((name) => !known.includes(name))).toEqual([]);
});

test('no secret has a default, and the needed ones are asked for by name', () => {
  const all: Record<string, string> = { ...postgres.environment, ...variables };
  const secrets = Object.entries(all).filter(([name]) => /KEYS|SECRET|PASSWORD/.test(name));
  expect(secrets.length).toBeGreaterThan(4);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{[A-Z_]+(:-|:\?.+)\}$/);
  const needed = secrets.filter(([, value]) => value.includes(':?')).map(([name]) => name);
  expect(needed.sort()).toEqual(['API_KEYS', 'PGPASSWORD', 'POSTGRES_PASSWORD']);
});

test('the service has the time to stop that its configuration gives it', () => {
  const { SHUTDOWN_TIMEOUT_MS, SHUTDOWN_DRAIN_MS } = parseConfig({});
  expect(Number.parseInt(service.stop_grace_period, 10) * 1000).toBeGreaterThan(
    SHUTDOWN_TIMEOUT_MS + SHUTDOWN_DRAIN_MS,
  );
});

test('PostgreSQL buffers a quarter of its memory', () => {
  const megabytes = (text: string) => Number.parseInt(text, 10) * (text.includes('G') ? 1024 : 1);
  const [, buffers] = /shared_buffers=(\S+)/.exec(postgres.command.join(' ')) ?? [];
  expect(megabytes(buffers ?? '') * 4).toBe(megabytes(postgres.deploy.resources.limits.memory));
});

test.each(Object.entries<Record<string, unknown>>(compose.services))(
  '%s has no more rights than it needs',
  (_, one) => {
    expect(one).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  },
);

test('what the image copies is there, and is not ignored', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '));
  expect(copied.length).toBeGreaterThan(5);
  const kept = read('.dockerignore').match(/(?<=^!).+$/gm) ?? [];
  for (const path of copied) {
    expect(existsSync(new URL(`../${path}`, import.meta.url)), path).toBe(true);
    expect(
      kept.some((one) => path === one || path.startsWith(`${one}/`)),
      path,
    ).toBe(true);
  }
});

test('the image keeps of the Prisma client what the generated one imports', () => {
  const generated = new URL('../src/database/generated/', import.meta.url);
  const sources = readdirSync(generated, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(new URL(path.replaceAll('\\', '/'), generated), 'utf8'));
  const imported = sources.flatMap((text) => [...text.matchAll(/@prisma\/client\/runtime\/([\w.-]+)/g)]);
  const names = [...new Set(imported.map(([, name = '']) => name))].filter((name) => !/browser/.test(name));
  expect(names).toContain('query_compiler_fast_bg.postgresql.mjs');
  const kept = [...dockerfile.matchAll(/! -name '([^']+)\*'/g)].map(([, prefix = '']) => prefix);
  for (const name of names)
    expect(
      kept.some((prefix) => `${name}.`.startsWith(prefix)),
      name,
    ).toBe(true);
});
