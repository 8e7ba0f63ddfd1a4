import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const source = fileURLToPath(new URL('../src/', import.meta.url));
const generated = 'database/generated/';

/** The files of src/ by their path in it, without what is generated. */
const files = new Map(
  readdirSync(source, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.startsWith(generated))
    .map((path) => [path, readFileSync(join(source, path), 'utf8')]),
);

/** What a file imports: of src/ as a path in it, of packages as it stands. */
function importsOf(path: string, text: string): string[] {
  const statements =
    /^(?:import\s+(?:[^;'"]+?\sfrom\s+)?|export\s+(?:type\s+)?(?:\*|\{)[^;'"]*?\sfrom\s+)['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...text.matchAll(statements)].map(([, statically, dynamically]) => {
    const name = (statically ?? dynamically) as string;
    return name.startsWith('.') ? posix.join(posix.dirname(path), name).replace(/\.js$/, '.ts') : name;
  });
}

/** From the top down: a file may import its own layer and those after it. */
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

/** Whether a file is `config.ts` or a part of it. */
const isConfiguration = (path: string) => /^config(-\w+)?\.ts$/.test(path);

const layerOf = (path: string) => layers.find((layer) => path === layer || path.startsWith(layer));

/** Why a file of src/ may not import another, or undefined. */
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

test('the parser sees every way to import', () => {
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
])('%s importing %s would be noticed', (from, to) => {
  expect(breach(from, to)).toEqual(expect.any(String));
});

test('imports point one way: server and cli, app, routes, plugins, changes, transfer, stripe, database, model, errors', () => {
  const imports = [...files].flatMap(([from, text]) =>
    importsOf(from, text)
      .filter((to) => /^[\w-]+(\/[\w-]+)*\.ts$/.test(to))
      .map((to) => ({ from, to })),
  );
  expect(imports.length).toBeGreaterThan(50);
  expect(imports.flatMap(({ from, to }) => breach(from, to) ?? [])).toEqual([]);
});

const withoutSql = [...files].filter(([path]) => /^(routes|plugins|stripe|model)\//.test(path));

test.each(withoutSql)('%s has no Prisma and no driver', (path, text) => {
  for (const name of importsOf(path, text)) expect(name).not.toMatch(/generated|prisma|^pg$|pglite/i);
});

test.each(withoutSql)('%s has no SQL', (_, text) => {
  expect(text.match(/\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|EXPLAIN)\b.*/g) ?? []).toEqual([]);
});

test.each([...files].filter(([path]) => !tops.some((top) => path.startsWith(top))))(
  '%s leaves the process and its environment alone',
  (_, text) => {
    expect(text.match(/\bprocess\.(env|exit\w*|on|once|kill|argv|stdout|stderr)\b.*|\bconsole\..*/g) ?? []).toEqual([]);
  },
);

test.each([...files])('%s is short enough to read', (_, text) => {
  expect(text.trimEnd().split('\n').length).toBeLessThan(300);
});
