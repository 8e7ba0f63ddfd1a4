import { readdirSync, readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { expect, test } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

interface LockedPackage {
  version: string;
  license?: string;
  integrity?: string;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
  engines?: { node?: string };
}

const { dependencies, devDependencies, overrides, engines, '//overrides': reasons } = JSON.parse(read('package.json'));
const lock: { packages: Record<string, LockedPackage> } = JSON.parse(read('package-lock.json'));
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
/** Packages installed in production by `npm ci --omit=dev --omit=optional`. */
const shipped = locked.filter(([, { dev, devOptional }]) => !dev && !devOptional);

/** Licences that require attribution at most. */
const permissive = ['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Unlicense'];

test('the lock file lists every dependency as shipped, and no development tool', () => {
  const names = shipped.map(([path]) => path.replace('node_modules/', ''));
  expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies)));
  expect(names).not.toContain('prisma');
});

test('every package that src/ imports is a dependency', () => {
  const files = readdirSync(new URL('../src', import.meta.url), { recursive: true, encoding: 'utf8' });
  // Type imports vanish at compile time.
  const imports = /(?:^(?:import|export)\s(?!type\b)(?:[^;'"]*?\sfrom\s)?|\bimport\(\s*)['"]([^'"]+)['"]/gm;
  const imported = files
    .filter((path) => /\.(ts|mjs)$/.test(path))
    .flatMap((path) => [...read(`src/${path}`).matchAll(imports)].map(([, name = '']) => name))
    .filter((name) => !name.startsWith('.') && !isBuiltin(name))
    .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0]);
  expect(new Set(imported).size).toBeGreaterThan(20);
  expect(imported.filter((name) => !((name as string) in dependencies))).toEqual([]);
});

test('every dependency has an exact version', () => {
  const asked = Object.entries<string>({ ...dependencies, ...devDependencies, ...overrides });
  expect(asked.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version))).toEqual([]);
});

test('every override has its reason beside it', () => {
  expect(Object.keys(reasons)).toEqual(Object.keys(overrides));
});

test('all that ships runs on the oldest Node that the service supports', () => {
  const require = createRequire(import.meta.url);
  const { minVersion, satisfies } = createRequire(require.resolve('fastify'))('semver');
  const oldest = minVersion(engines.node).version;
  const tooNew = shipped.filter(([, { engines: { node = '*' } = {} }]) => !satisfies(oldest, node));
  expect({ oldest, tooNew }).toEqual({ oldest: '20.19.0', tooNew: [] });
});

test('every locked package has an integrity hash', () => {
  expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([]);
});

test('every shipped package has a permissive licence', () => {
  expect(shipped.filter(([, { license }]) => !permissive.includes(license ?? ''))).toEqual([]);
});

test('no shipped package has an install script', () => {
  expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
});

test.each(['test/tools/setup.mjs', 'Dockerfile'])('%s installs with npm ci and runs no install scripts', (path) => {
  const installs = read(path).match(/^.*\bnpm\b.{1,3}\b(ci|install|update)\b.*$/gm) ?? [];
  expect(installs.length).toBeGreaterThan(0);
  for (const line of installs) expect(line).toMatch(/\bci\b.*--ignore-scripts/);
});
