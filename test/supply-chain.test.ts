import { readFileSync } from 'node:fs';
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
