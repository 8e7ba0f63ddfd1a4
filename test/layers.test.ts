import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const source = fileURLToPath(new URL('../src/', import.meta.url));
const generated = 'database/generated/';

/** The files of src/ except generated ones, by their path in it. */
const files = new Map(
  readdirSync(source, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.startsWith(generated))
    .map((path) => [path, readFileSync(join(source, path), 'utf8')]),
);

/** Returns the imports of a file: paths in src/, and package names as written. */
function importsOf(path: string, text: string): string[] {
  const statements =
    /^(?:import\s+(?:[^;'"]+?\sfrom\s+)?|export\s+(?:type\s+)?(?:\*|\{)[^;'"]*?\sfrom\s+)['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...text.matchAll(statements)].map(([, statically, dynamically]) => {
    const name = (statically ?? dynamically) as string;
    return name.startsWith('.') ? posix.join(posix.dirname(path), name).replace(/\.js$/, '.ts') : name;
  });
}

/** Layers from top to bottom. A file may import its own layer and those below. */
const layers = [
  'server.ts',
  'cli/',
  'app.ts',
  'routes/',
  'plugins/',
  'changes/',
  'transfer/',
  'stripe/',
  'database/',
  'console/',
  'model/',
  'errors.ts',
  'version.ts',
];
const tops = ['server.ts', 'cli/'];
const mayImportConfig = [
  'server.ts',
  'app.ts',
  'cli/',
  'routes/',
  'plugins/',
  'transfer/',
  'stripe/',
  'database/engine/open.ts',
];

/** Returns whether a file is `config.ts` or a part of it. */
const isConfiguration = (path: string) => /^config(-\w+)?\.ts$/.test(path);

const layerOf = (path: string) => layers.find((layer) => path === layer || path.startsWith(layer));

/** Returns why a file of src/ may not import another, or undefined. */
function breach(from: string, to: string): string | undefined {
  if (isConfiguration(to)) {
    if (isConfiguration(from)) return undefined;
    return mayImportConfig.some((layer) => from.startsWith(layer)) ? undefined : `${from} reads the configuration`;
  }
  if (isConfiguration(from)) return to === 'errors.ts' ? undefined : `the configuration imports ${to}`;
  const [above, below] = [layerOf(from), layerOf(to)];
  if (above === undefined || below === undefined) return `${from} or ${to} is in no layer`;
  if (above === below) return undefined;
  const isDown = layers.indexOf(above) < layers.indexOf(below) && !tops.includes(below);
  return isDown ? undefined : `${from} imports ${to}`;
}

test('importsOf finds every form of import', () => {
  const text = `import a from './a.js';
import type {
  B,
} from '../model/b.js';
import './c.js';
export * from './d.js';
export { e } from "./e.js";
const f = await import('./f.js');
export const g = { from: 'not.js' };
import pg from 'pg';
`;
  const seen = importsOf('routes/x.ts', text);
  expect(seen.sort()).toEqual(
    ['routes/a.ts', 'model/b.ts', 'routes/c.ts', 'routes/d.ts', 'routes/e.ts', 'routes/f.ts', 'pg'].sort(),
  );
});

test.each([
  ['model/session.ts', 'database/engine/database.ts'],
  ['stripe/ingest.ts', 'transfer/import.ts'],
  ['errors.ts', 'model/enums.ts'],
  ['database/sessions/store.ts', 'plugins/access.ts'],
  ['plugins/openapi/plugin.ts', 'routes/enums.ts'],
  ['routes/enums.ts', 'app.ts'],
  ['app.ts', 'server.ts'],
  ['cli/migrate.ts', 'server.ts'],
  ['server.ts', 'cli/migrate.ts'],
  ['model/session.ts', 'config.ts'],
  ['database/engine/postgres.ts', 'config.ts'],
  ['config.ts', 'database/engine/open.ts'],
  ['app.ts', 'helpers/anything.ts'],
])('the layer check refuses %s importing %s', (from, to) => {
  expect(breach(from, to)).toEqual(expect.any(String));
});

test('every import in src/ points from a layer to its own or a lower one', () => {
  const imports = [...files].flatMap(([from, text]) =>
    importsOf(from, text)
      .filter((to) => /^[\w-]+(\/[\w-]+)*\.ts$/.test(to))
      .map((to) => ({ from, to })),
  );
  expect(imports.length).toBeGreaterThan(50);
  expect(imports.flatMap(({ from, to }) => breach(from, to) ?? [])).toEqual([]);
});

const withoutSql = [...files].filter(([path]) => /^(routes|plugins|stripe|model)\//.test(path));

test.each(withoutSql)('%s imports no Prisma and no database driver', (path, text) => {
  for (const name of importsOf(path, text)) expect(name).not.toMatch(/generated|prisma|^pg$|pglite/i);
});

test.each(withoutSql)('%s contains no SQL', (_, text) => {
  expect(text.match(/\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|EXPLAIN)\b.*/g) ?? []).toEqual([]);
});

test.each([...files].filter(([path]) => !tops.some((top) => path.startsWith(top))))(
  '%s does not touch the process or its environment',
  (_, text) => {
    expect(text.match(/\bprocess\.(env|exit\w*|on|once|kill|argv|stdout|stderr)\b.*|\bconsole\..*/g) ?? []).toEqual([]);
  },
);

test('no test imports a tool: tools may import from support/, and not the reverse', () => {
  const tests = fileURLToPath(new URL('.', import.meta.url));
  const importers = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.startsWith('tools/'))
    .filter((path) => importsOf(path, readFileSync(join(tests, path), 'utf8')).some((to) => to.startsWith('tools/')));
  expect(importers).toEqual([]);
});

test.each([...files])('%s has fewer than 300 lines', (_, text) => {
  expect(text.trimEnd().split('\n').length).toBeLessThan(300);
});
