import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { expect, test } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

interface LockedPackage {
  version: string;
  license?: string;
  integrity?: string;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
}

const { dependencies, devDependencies, overrides } = JSON.parse(read('package.json'));
const lock: { packages: Record<string, LockedPackage> } = JSON.parse(read('package-lock.json'));
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
/** What runs in production: `npm ci --omit=dev --omit=optional`. */
const shipped = locked.filter(([, { dev, devOptional }]) => !dev && !devOptional);

/** Licences that ask for no more than to be named. */
const permissive = ['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Unlicense'];

test('there is something to check', () => {
  const names = shipped.map(([path]) => path.replace('node_modules/', ''));
  expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies)));
  expect(names).not.toContain('prisma');
});

test('what the service imports ships with it', () => {
  const files = readdirSync(new URL('../src', import.meta.url), { recursive: true, encoding: 'utf8' });
  // Types are gone when it runs.
  const imports = /(?:^(?:import|export)\s(?!type\b)(?:[^;'"]*?\sfrom\s)?|\bimport\(\s*)['"]([^'"]+)['"]/gm;
  const imported = files
    .filter((path) => /\.(ts|mjs)$/.test(path))
    .flatMap((path) => [...read(`src/${path}`).matchAll(imports)].map(([, name = '']) => name))
    .filter((name) => !name.startsWith('.') && !isBuiltin(name))
    .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0]);
  expect(new Set(imported).size).toBeGreaterThan(20);
  expect(imported.filter((name) => !((name as string) in dependencies))).toEqual([]);
});

test('every version asked for is an exact one', () => {
  const asked = Object.entries<string>({ ...dependencies, ...devDependencies, ...overrides });
  expect(asked.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version))).toEqual([]);
});

test('every package is locked to its content', () => {
  expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([]);
});

test('the licence of all that ships is permissive', () => {
  expect(shipped.filter(([, { license }]) => !permissive.includes(license ?? ''))).toEqual([]);
});

test('nothing that ships has an install script', () => {
  expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
});

test.each(['src/cli/setup.mjs', 'Dockerfile'])('%s installs what is locked, and runs no install scripts', (path) => {
  const installs = read(path).match(/^.*\bnpm\b.{1,3}\b(ci|install|update)\b.*$/gm) ?? [];
  expect(installs.length).toBeGreaterThan(0);
  for (const line of installs) expect(line).toMatch(/\bci\b.*--ignore-scripts/);
});
