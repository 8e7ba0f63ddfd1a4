import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import supertest from 'supertest';
import { afterAll, expect, inject, onTestFinished, test } from 'vitest';
import { processDatabase } from './support/database.js';
import { parseLog } from './support/process.js';
import { sessionBody, sessionsPath } from './support/service.js';

/** Makes the folder of the image without Docker, with the commands of the Dockerfile, and starts the service in it. */

const root = fileURLToPath(new URL('..', import.meta.url));
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', '');
const [, , dependencies = '', image = ''] = dockerfile.split(/^FROM .*$/m);

/** The variables that the image sets, such as NODE_OPTIONS. */
const imageVariables = Object.fromEntries(
  [...image.matchAll(/^ENV (.+)$/gm)]
    .flatMap(([, pairs = '']) => pairs.split(' '))
    .map((pair) => pair.split('=') as [string, string]),
);

/** The folders that `npm ci --omit=dev --omit=optional` installs. */
function installedPackages(): string[] {
  expect(dependencies).toMatch(/\bnpm ci --omit=dev --omit=optional --ignore-scripts\b/);
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
    .map(([path]) => path);
}

/** Links the files of a package, without the packages inside it: copies would take five times as long. */
function linkPackage(path: string, folder: string): void {
  mkdirSync(join(folder, path), { recursive: true });
  for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
    const inside = `${path}/${entry.name}`;
    if (entry.isDirectory() && entry.name !== 'node_modules') linkPackage(inside, folder);
    if (entry.isFile()) linkFile(join(root, inside), join(folder, inside));
  }
}

function linkFile(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    // Another file system.
    copyFileSync(from, to);
  }
}

/** Makes the folder `/service` of the image: the pruned packages, and the files that the last stage copies. */
function makeFolder(folder: string): void {
  for (const path of installedPackages()) linkPackage(path, folder);
  const [, pruning = ''] = /^RUN (cd node_modules .+)$/m.exec(dependencies) ?? [];
  const { status, stderr } = spawnSync('/bin/sh', ['-c', pruning], { cwd: folder, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const [, source = ''] of image.matchAll(/^COPY (?:--from=build \/service\/)?(?!--)(.+) \S+$/gm)) {
    for (const path of source.split(' ')) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      cpSync(join(root, path), join(folder, path), { recursive: true });
    }
  }
}

const folder = await mkdtemp(join(tmpdir(), 'image-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
makeFolder(folder);

/** Starts Node in the folder with the variables of the image. */
function startNode(args: readonly string[], environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, ['--liftoff-only', ...args], {
    cwd: folder,
    env: {
      ...{ PATH: process.env.PATH ?? '', ...imageVariables },
      ...{ HOST: '127.0.0.1', PORT: '0', DATA_DIR: join(folder, 'data'), ...environment },
    },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      written[stream] += text;
    });
  }
  const exited = once(child, 'close').then(([code]) => ({ code, ...written }));
  return { child, written, exited };
}

test('two thirds of the files are gone, and every licence is kept', () => {
  const filesIn = (path: string) =>
    readdirSync(join(folder, path), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const licences = (path: string) => filesIn(path).filter(({ name }) => /^(licen[cs]e|notice)/i.test(name)).length;
  for (const name of ['fastify', 'stripe', 'typebox', '@prisma/client']) {
    expect(licences(`node_modules/${name}`), name).toBeGreaterThan(0);
  }
  expect(filesIn('node_modules').length).toBeLessThan(6000);
  expect(filesIn('node_modules').filter(({ name }) => name.endsWith('.map'))).toEqual([]);
  expect(filesIn('dist').some(({ name }) => name === 'server.js.map')).toBe(true);
});

test('the service starts on the embedded database, traces, and serves its API and its pages', async () => {
  const { child, written, exited } = startNode(['dist/server.js'], {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
  });
  const listening = () => written.stdout.split('\n').find((line) => line.includes('"msg":"listening"'));
  const ended = exited.then(({ stderr }) => Promise.reject(new Error(stderr)));
  await Promise.race([expect.poll(listening).toBeDefined(), ended]);
  const api = supertest(JSON.parse(listening() ?? '').address);
  const body = sessionBody();
  await api.post(sessionsPath).send(body).expect(201);
  await api.get(`${sessionsPath}/${body.id}`).expect(200);
  for (const path of ['/docs/', '/docs/static/swagger-ui-bundle.js', '/openapi.yaml', '/console/', '/console/htm.js']) {
    await api.get(path).expect(200);
  }
  child.kill('SIGTERM');
  expect(await exited).toMatchObject({ code: 0, stderr: '' });
});

test('a stack trace in the log names the lines of src/', async () => {
  const { exited } = startNode(['dist/server.js'], {
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
    DATABASE_START_TIMEOUT_MS: '500',
  });
  const { stdout } = await exited;
  const [{ err }] = parseLog(stdout) as [{ level: string; msg: string; err?: { stack: string } }];
  expect(err?.stack).toMatch(/ at async start \(.*\/src\/server\.ts:\d+:\d+\)/);
});

if (inject('template').kind === 'postgres') {
  test('the command migrate makes the tables in PostgreSQL', async () => {
    const { environment, use } = await processDatabase('empty');
    const { code, stderr } = await startNode(['dist/cli/migrate.js'], environment).exited;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await use(async ({ query }) => {
      expect(await query({ text: 'SELECT id FROM checkout_session', values: [] })).toEqual([]);
    });
  });
}

test.each(['import', 'export', 'backfill'])('the command %s runs', async (command) => {
  const { code, stdout, stderr } = await startNode([`dist/cli/${command}.js`, '--help'], {}).exited;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(command);
});

test('the scripts of package.json start the service and its commands with source maps too', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const started = Object.values<string>(scripts).filter((script) => /\bdist\//.test(script));
  expect(started.length).toBeGreaterThan(5);
  for (const script of started) expect(script).toMatch(/^node --enable-source-maps dist\//);
});
