import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { expectProblem, startService } from '../support/service.js';

const database = await testDatabase();
const { api, url } = await startService({ database });
const keyed = await startService({
  database,
  environment: { API_KEYS: 'full-key-0000000001', STRIPE_API_KEYS: 'sk_test_of_the_tests' },
});
const without = await startService({ database, environment: { CONSOLE: 'false' } });

const folder = new URL('../../src/console/', import.meta.url);
const own = readdirSync(folder).filter((name) => /\.(js|css|svg|html)$/.test(name));

/** Loads the page and every file it refers to. Returns their texts by name. */
async function load(): Promise<Map<string, string>> {
  const loaded = new Map<string, string>();
  const wanted = ['index.html'];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (loaded.has(name)) continue;
    const path = name === 'index.html' ? '/console/' : `/console/${name}`;
    const { text, body } = await api.get(path).expect(200);
    const content: string = text ?? body.toString();
    loaded.set(name, content);
    const named = [
      ...content.matchAll(/\b(?:src|href)="([\w.-]+\.(?:js|css|svg))"/g),
      ...content.matchAll(/(?:^|[;}\s])(?:import|export)\s?[^'"`;]*?from\s?["']([^"']+)["']/g),
    ];
    wanted.push(...named.map(([, file = '']) => posix.normalize(file)));
  }
  return loaded;
}

const files = await load();

describe('the console page', () => {
  test('loads every file in src/console, and its libraries from this service', () => {
    expect([...files.keys()].sort()).toEqual([...own, 'htm.js', 'preact-hooks.js', 'preact.js'].sort());
  });

  test('has no inline script or style and loads nothing from other hosts', () => {
    const page = files.get('index.html') ?? '';
    expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=/i);
    expect(page).not.toMatch(/\b(?:src|href)="(?:https?:)?\/\//);
  });

  test('imports only relative modules and never turns text into markup', () => {
    for (const [name, text] of files) {
      if (!name.endsWith('.js')) continue;
      for (const [, module] of text.matchAll(/\bfrom\s?["']([^"']+)["']/g))
        expect(`${name}: ${module}`).toMatch(/: \.\//);
      expect(text).not.toContain('sourceMappingURL');
    }
    for (const name of own) {
      const text = readFileSync(new URL(name, folder), 'utf8');
      expect(text).not.toMatch(/innerHTML|dangerouslySet|insertAdjacent|document\.write|\beval\(|new Function/);
    }
  });

  test('is under 60 KB compressed, libraries included', () => {
    const total = [...files.values()].reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(60_000);
  });

  test.each(own.filter((name) => !name.endsWith('.svg')))('%s has fewer than 300 lines', (name) => {
    expect(readFileSync(new URL(name, folder), 'utf8').split('\n').length).toBeLessThan(300);
  });
});

test('the console has a strict content security policy', async () => {
  for (const path of ['/console/', '/console/main.js', '/console/base.css']) {
    const { headers } = await api.get(path).expect(200);
    const policy = String(headers['content-security-policy']).split(';');
    expect(policy).toEqual(expect.arrayContaining(["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]));
    expect(policy).toEqual(expect.arrayContaining(["require-trusted-types-for 'script'", "trusted-types 'none'"]));
    expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|data:|\*/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    expect(headers['x-frame-options']).toMatch(/deny/i);
  }
});

test.each([
  ['', 'text/html; charset=utf-8'],
  ['main.js', 'text/javascript; charset=utf-8'],
  ['preact.js', 'text/javascript; charset=utf-8'],
  ['base.css', 'text/css; charset=utf-8'],
  ['icon.svg', 'image/svg+xml'],
])('/console/%s has its content type, is compressed and revalidated by its ETag', async (name, type) => {
  const path = `/console/${name}`;
  const plain = await fetch(`${url}${path}`, { headers: { 'accept-encoding': 'identity' } });
  expect(plain.headers.get('content-type')).toBe(type);
  expect(plain.headers.get('cache-control')).toBe('no-cache');
  expect(plain.headers.get('vary')).toMatch(/accept-encoding/i);
  expect(plain.headers.has('content-encoding')).toBe(false);
  const { headers } = await api.get(path).set('accept-encoding', 'br, gzip').expect(200);
  expect(headers['content-encoding']).toBe('gzip');
  const refused = await fetch(`${url}${path}`, { headers: { 'accept-encoding': 'gzip;q=0' } });
  expect(refused.headers.has('content-encoding')).toBe(false);
  const tag = String(plain.headers.get('etag'));
  await api.get(path).set('if-none-match', tag).expect(304);
  await api.get(path).set('if-none-match', '"another"').expect(200);
});

test('a compressed file has the same content as the plain one', async () => {
  const zipped = await api
    .get('/console/app.js')
    .set('accept-encoding', 'gzip')
    .buffer()
    .parse((response, done) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => done(null, Buffer.concat(chunks)));
    });
  const text = files.get('app.js');
  expect([text, gunzipSync(gzipSync(String(text))).toString()]).toContain(zipped.body.toString());
});

test('/ redirects a browser to the console and is 404 for other clients', async () => {
  const browser = await api.get('/').set('accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8').expect(302);
  expect(browser.headers).toMatchObject({ location: 'console/', vary: expect.stringMatching(/accept/i) });
  for (const accept of ['*/*', 'application/json', ''])
    expectProblem(await api.get('/').set('accept', accept), 404, 'not-found');
  expectProblem(await api.post('/').set('accept', 'text/html'), 404, 'not-found');
});

test('/console redirects to /console/, where relative links work', async () => {
  const { headers } = await api.get('/console').expect(308);
  expect(headers.location).toBe('console/');
  await api.head('/console/').expect(200);
});

test('the page is told whether a key is needed and which features exist', async () => {
  const settings = async (service: typeof keyed) =>
    /<html([^>]*)>/.exec((await service.api.get('/console/').expect(200)).text)?.[1];
  expect(await settings(keyed)).toContain('data-needs-key="true" data-can-refresh="true"');
  const { body } = await keyed.api.get('/openapi.json').expect(200);
  const hasChanges = '/api/changes' in body.paths;
  const open = await startService({ database });
  expect(await settings(open)).toContain(
    `data-needs-key="false" data-can-refresh="false" data-has-changes="${hasChanges}"`,
  );
});

test('the page holds no key and no server code', async () => {
  const { text } = await keyed.api.get('/console/').expect(200);
  expect(text).not.toMatch(/full-key|sk_test/);
  expect([...files.values()].join()).not.toMatch(/\bprocess\.env\b|node_modules/);
});

test.each([
  'none.js',
  'types.d.ts',
  'index.html',
  '../package.json',
  '..%2fapp.js',
  '%2e%2e%2f%2e%2e%2fpackage.json',
  '....//package.json',
  'main.js%00.css',
  'constructor',
  '__proto__',
  '%5c..%5capp.js',
  '/etc/passwd',
])('/console/%s is not found', async (name) => {
  const response = await fetch(`${url}/console/${name}`, { headers: { accept: 'text/html' } });
  expect([400, 404]).toContain(response.status);
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(await response.text()).not.toMatch(/dependencies|root:|buildApp/);
});

test.each(['post', 'put', 'delete'] as const)('the console refuses %s with 405', async (method) => {
  for (const path of ['/console/', '/console/main.js'])
    expectProblem(await api[method](path), 405, 'method-not-allowed');
});

test('CONSOLE=false removes the console', async () => {
  for (const path of ['/console', '/console/', '/console/main.js', '/']) {
    expectProblem(await without.api.get(path).set('accept', 'text/html'), 404, 'not-found');
  }
});

test('the console is not part of the contract', async () => {
  const { body } = await api.get('/openapi.json').expect(200);
  expect(Object.keys(body.paths).filter((path) => path === '/' || path.includes('console'))).toEqual([]);
});
