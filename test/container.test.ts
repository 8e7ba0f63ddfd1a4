import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentVariables, parseConfig, secretFileVariables } from '../src/config.js';
import { contract } from './support/contract.js';

/** Checks of the image and the compose file that need no Docker. test/image.test.ts starts the service of the image. */

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');
const compose = parse(read('docker-compose.yml'));
const { service, postgres, prometheus, grafana } = compose.services;
const variables: Record<string, string> = service.environment;

const ours = [...environmentVariables, ...secretFileVariables];

test('the compose file sets only variables that exist', () => {
  // The driver reads PGPASSWORD. OpenTelemetry's SDK reads more variables than the service does.
  const unknown = Object.keys(variables).filter((name) => !ours.includes(name) && !name.startsWith('OTEL_'));
  expect(unknown).toEqual(['PGPASSWORD']);
});

test('the compose file passes every variable on, except those that the image sets', () => {
  const setByImage = ['HOST', 'PORT', 'DATA_DIR'];
  for (const name of setByImage) expect(dockerfile).toMatch(new RegExp(`^ENV .*\\b${name}=`, 'm'));
  const passed = Object.entries(variables).filter(([name, value]) => value.startsWith(`\${${name}`));
  const missing = ours.filter((name) => !passed.some(([one]) => one === name));
  expect(missing.sort()).toEqual(setByImage.sort());
});

test('an empty environment makes a valid configuration in the compose file, except for the missing keys', () => {
  const defaults = Object.entries(variables).map(([name, value]) => [
    name,
    /^\$\{[A-Z_]+:?-(.*)\}$/.exec(value)?.[1] ?? '',
  ]);
  const environment = { ...Object.fromEntries(defaults), HOST: '0.0.0.0' };
  expect(() => parseConfig(environment)).toThrow(/^[^\n]+\n[^\n]+set API_KEYS[^\n]*$/);
  expect(parseConfig({ ...environment, API_KEYS: 'ops 0123456789abcdef' }).DATABASE_URL).toMatch(/@postgres\//);
});

test('no secret has a default, and a missing secret is an error that names it', () => {
  const all: Record<string, string> = { ...prometheus.environment, ...postgres.environment, ...variables };
  const secrets = Object.entries(all).filter(([name]) => /KEY|SECRET|PASSWORD/.test(name));
  expect(secrets.length).toBeGreaterThan(4);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{[A-Z_]+(:-|:\?.+)\}$/);
  const needed = secrets.filter(([, value]) => value.includes(':?')).map(([name]) => name);
  // The service itself checks API_KEYS, because API_KEYS_FILE or ALLOW_ANONYMOUS may replace it.
  expect(needed.sort()).toEqual(['PGPASSWORD', 'POSTGRES_PASSWORD']);
});

test('Docker waits longer for the service to stop than its configuration allows', () => {
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
  '%s drops all rights that it does not need',
  (_, one) => {
    expect(one).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  },
);

test('Prometheus and Grafana start only with the profile monitoring', () => {
  const profiles = Object.entries<{ profiles?: string[] }>(compose.services).map(([name, one]) => [name, one.profiles]);
  expect(profiles).toEqual([
    ['service', undefined],
    ['postgres', undefined],
    ['prometheus', ['monitoring']],
    ['grafana', ['monitoring']],
  ]);
});

test.each([prometheus, grafana])('$image is one version', ({ image }) => {
  expect(image).toMatch(/^[a-z]+\/[a-z]+:v?\d+\.\d+\.\d+$/);
});

test.each(Object.entries<{ ports?: string[] }>(compose.services))(
  '%s is published on loopback only',
  (_, { ports }) => {
    for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/);
  },
);

/** Returns the files of the repository that a container mounts, by their paths in the container. */
function mounted({ volumes }: { volumes: string[] }): Map<string, string> {
  const files = volumes.map((volume) => volume.split(':')).filter(([from = '']) => from.startsWith('./'));
  for (const [, , mode] of files) expect(mode).toBe('ro');
  return new Map(files.map(([from = '', to = '']) => [to, from.slice(2)]));
}

test('Prometheus has its configuration and the alerts, and scrapes the service with a key', () => {
  const files = mounted(prometheus);
  const [script] = prometheus.command as string[];
  const configPath = /--config\.file=(\S+)/.exec(script ?? '')?.[1] ?? '';
  const { rule_files, scrape_configs } = parse(read(files.get(configPath) ?? ''));
  const [job] = scrape_configs;
  for (const rule of rule_files)
    expect(read(files.get(posix.join(posix.dirname(configPath), rule)) ?? '')).toContain(job.job_name);

  const port = /\bPORT=(\d+)/.exec(dockerfile)?.[1];
  expect(job.static_configs).toEqual([{ targets: [`service:${port}`] }]);
  expect(contract.paths).toHaveProperty([job.metrics_path ?? '/metrics']);
  const keyPath = job.authorization.credentials_file;
  expect(script).toContain(`printf %s "$$PROMETHEUS_KEY" > ${keyPath}\n`);
  expect(prometheus.tmpfs).toContain(posix.dirname(keyPath));
  expect(script).toContain(`--storage.tsdb.path=${prometheus.volumes.at(-1).split(':')[1]} `);
});

test('Grafana has Prometheus as its data source, and the dashboard', () => {
  const files = mounted(grafana);
  const provisioned = (kind: string) => {
    const folder = `/etc/grafana/provisioning/${kind}/`;
    const [path] = [...files.keys()].filter((one) => one.startsWith(folder));
    return parse(read(files.get(path ?? '') ?? ''));
  };
  const [source] = provisioned('datasources').datasources;
  expect(source).toMatchObject({ type: 'prometheus', isDefault: true, url: 'http://prometheus:9090' });
  const { global } = parse(read('monitoring/prometheus.yaml'));
  expect(source.jsonData.timeInterval).toBe(global.scrape_interval);

  const [provider] = provisioned('dashboards').providers;
  const home = grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH;
  expect(posix.dirname(home)).toBe(provider.options.path);
  expect(JSON.parse(read(files.get(home) ?? ''))).toMatchObject({ uid: 'checkout-sessions' });
});

test('the files that the Dockerfile copies exist and are not in .dockerignore', () => {
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

test('the image keeps every file of the Prisma client that the generated client imports', () => {
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

test('the image has the console and keeps the files of its libraries that are served', () => {
  expect(dockerfile).toMatch(/\bcp -R src\/console dist\/console\b/);
  const served = ['preact/dist/preact.mjs', 'preact/hooks/dist/hooks.mjs', 'htm/dist/htm.module.js'];
  const pruned = [...dockerfile.matchAll(/-name '(\*\.[\w?]+)'/g)].map(([, glob = '']) => glob);
  expect(pruned).toContain('*.map');
  for (const path of served) {
    expect(existsSync(new URL(`../node_modules/${path}`, import.meta.url)), path).toBe(true);
    for (const glob of pruned) {
      const pattern = new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('?', '.').replaceAll('*', '.*')}$`);
      expect(path).not.toMatch(pattern);
    }
  }
});
