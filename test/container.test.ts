import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentVariables, parseConfig, secretFileVariables } from '../src/config.js';

/** What can be known of the image and the compose file without building them. */

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');
const compose = parse(read('docker-compose.yml'));
const { service, postgres } = compose.services;
const variables: Record<string, string> = service.environment;

const ours = [...environmentVariables, ...secretFileVariables];

test('the compose file sets variables that there are', () => {
  // PGPASSWORD is the driver's; OpenTelemetry's SDK reads more than the service does.
  const unknown = Object.keys(variables).filter((name) => !ours.includes(name) && !name.startsWith('OTEL_'));
  expect(unknown).toEqual(['PGPASSWORD']);
});

test('every variable gets through the compose file, except where the image says it', () => {
  const ofTheImage = ['HOST', 'PORT', 'DATA_DIR'];
  for (const name of ofTheImage) expect(dockerfile).toMatch(new RegExp(`^ENV .*\\b${name}=`, 'm'));
  const passed = Object.entries(variables).filter(([name, value]) => value.startsWith(`\${${name}`));
  const missing = ours.filter((name) => !passed.some(([one]) => one === name));
  expect(missing.sort()).toEqual(ofTheImage.sort());
});

test('what the compose file passes on of an empty environment is a valid configuration, but for the missing keys', () => {
  const defaults = Object.entries(variables).map(([name, value]) => [
    name,
    /^\$\{[A-Z_]+:?-(.*)\}$/.exec(value)?.[1] ?? '',
  ]);
  const environment = { ...Object.fromEntries(defaults), HOST: '0.0.0.0' };
  expect(() => parseConfig(environment)).toThrow(/^[^\n]+\n[^\n]+set API_KEYS[^\n]*$/);
  expect(parseConfig({ ...environment, API_KEYS: 'ops 0123456789abcdef' }).DATABASE_URL).toMatch(/@postgres\//);
});

test('no secret has a default, and the needed ones are asked for by name', () => {
  const all: Record<string, string> = { ...postgres.environment, ...variables };
  const secrets = Object.entries(all).filter(([name]) => /KEYS|SECRET|PASSWORD/.test(name));
  expect(secrets.length).toBeGreaterThan(4);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{[A-Z_]+(:-|:\?.+)\}$/);
  const needed = secrets.filter(([, value]) => value.includes(':?')).map(([name]) => name);
  // The service itself asks for API_KEYS: API_KEYS_FILE or ALLOW_ANONYMOUS may stand in their place.
  expect(needed.sort()).toEqual(['PGPASSWORD', 'POSTGRES_PASSWORD']);
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
  const generated = new URL('../src/database/generated', import.meta.url);
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
