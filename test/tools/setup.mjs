/**
 * Installs, generates and builds, each only when its sources have changed. Most npm scripts run it first. It runs before
 * anything is installed, so it is plain JavaScript with Node's own modules only.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const stamps = join(root, 'node_modules', '.cache', 'checkout-session-service');

const steps = [
  {
    name: 'install',
    outputs: ['node_modules/.package-lock.json'],
    sources: ['package-lock.json', '.npmrc'],
    run: () => npm('ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'),
  },
  {
    name: 'generate',
    outputs: ['src/database/generated/client.ts'],
    sources: ['package-lock.json', 'prisma/schema.prisma', 'prisma/config.ts'],
    run: () => node('node_modules/prisma/build/index.js', 'generate', '--config', 'prisma/config.ts'),
  },
  {
    name: 'build',
    outputs: ['dist/server.js', 'dist/console/index.html'],
    sources: ['package-lock.json', 'tsconfig.json', 'prisma/schema.prisma', 'src'],
    run: () => {
      rmSync(join(root, 'dist'), { recursive: true, force: true });
      node('node_modules/typescript/bin/tsc');
      // The console is served without a build.
      cpSync(join(root, 'src/console'), join(root, 'dist/console'), { recursive: true });
    },
  },
];

for (const { name, outputs, sources, run } of steps) {
  const stamp = join(stamps, name);
  const digest = digestOf(sources);
  const isComplete = outputs.every((path) => existsSync(join(root, path)));
  if (isComplete && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) continue;
  process.stdout.write(`${name} …\n`);
  run();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, digest);
}

/** Returns a digest of files and of Node's version. @param {string[]} paths */
function digestOf(paths) {
  const hash = createHash('sha256').update(process.version);
  for (const path of paths.flatMap(filesOf))
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)));
  return hash.digest('hex');
}

/** Returns the files at a path or below it. @param {string} path @returns {string[]} */
function filesOf(path) {
  if (path === 'src/database/generated') return [];
  if (!path.startsWith('src') || /\.\w+$/.test(path)) return [path];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesOf(`${path}/${name}`));
}

/** @param {string[]} args */
function npm(...args) {
  const { npm_execpath } = process.env;
  if (npm_execpath) node(npm_execpath, ...args);
  else execute('npm', args, process.platform === 'win32');
}

/** @param {string[]} args */
function node(...args) {
  execute(process.execPath, args, false);
}

/**
 * Runs a program. Prints its output only if it fails.
 *
 * @param {string} command @param {string[]} args @param {boolean} shell
 */
function execute(command, args, shell) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, shell, encoding: 'utf8' });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}\n${[command, ...args].join(' ')} failed\n`);
  process.exit(status ?? 1);
}
