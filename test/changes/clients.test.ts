import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EventSource } from 'eventsource';
import pg from 'pg';
import { afterAll, expect, inject, onTestFinished, test } from 'vitest';
import { postgresDatabase } from '../support/database.js';
import { codeBlocks, commands } from '../support/markdown.mjs';
import { startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { startTcpProxy } from '../support/tcp-proxy.js';

/** The consumers printed in docs/changes.md, run behind a proxy that repeatedly cuts every connection. */

const key = 'a-key-of-the-consumers';
const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, API_KEYS: key };
const { api, url } = await startService({ environment });
const proxy = await startTcpProxy(url);

const blocks = codeBlocks('docs/changes.md');
const printed = (language: string) =>
  (blocks.find((block) => block.language === language)?.text ?? '')
    .replaceAll('http://127.0.0.1:3000', proxy.url.replace(/\/$/, ''))
    .replaceAll('Bearer KEY', `Bearer ${key}`);

/** Returns whether a program is installed. */
const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;

/** A working directory for the consumers, linked to this repository's packages. */
const folder = await mkdtemp(join(tmpdir(), 'checkout-session-feed-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'));

/** Starts a program in that directory and kills it after the test. */
function start(program: string, args: readonly string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(program, args, { cwd: folder, env: { PATH: process.env.PATH ?? '', ...env } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const written = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    written.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    written.stderr += text;
  });
  return { child, written };
}

/** A cursor that the log does not have. The service answers it with 410. */
const unknownCursor = Buffer.from('1000000000.0').toString('base64url');

let number = 0;

/** Pays sessions while the proxy cuts every connection three times. Resolves to the session ids in sorted order. */
async function payWhileCut(): Promise<string[]> {
  const ids: string[] = [];
  const pay = async () => {
    number += 1;
    const id = `cs_test_paid_${String(number).padStart(5, '0')}`;
    const paid = { id, status: 'complete', payment_status: 'paid', amount_total: number };
    await deliver(api, rawEvent(rawSession(paid))).expect(200);
    ids.push(id);
  };
  for (let cut = 0; cut < 3; cut += 1) {
    for (let one = 0; one < 8; one += 1) await pay();
    await proxy.refuse();
    for (let one = 0; one < 4; one += 1) await pay();
    await proxy.open();
    await setTimeout(700);
  }
  return ids;
}

test('the eventsource package from npm receives every payment through cut connections', async () => {
  const received = new Set<string>();
  const source = new EventSource(`${proxy.url}api/changes?cursor=now&types=paid`, {
    fetch: (address, init) =>
      fetch(address, { ...init, headers: { ...init?.headers, authorization: `Bearer ${key}` } } as RequestInit),
  });
  onTestFinished(() => source.close());
  const opened = new Promise((resolve) => source.addEventListener('open', resolve));
  source.addEventListener('paid', ({ data }) => received.add(JSON.parse(data).session_id));
  await opened;
  await setTimeout(200);
  const ids = await payWhileCut();
  await expect.poll(() => [...received].sort(), { timeout: 20_000 }).toEqual(ids);
}, 60_000);

if (has('curl', '--version')) {
  test('the printed curl command prints changes as they happen', async () => {
    const [, command = ''] = blocks.filter(({ language }) => language === 'console').map((block) => commands(block)[0]);
    expect(command).toMatch(/^curl -N /);
    const pointed = command.replaceAll('http://127.0.0.1:3000', url).replaceAll('Bearer KEY', `Bearer ${key}`);
    const { written } = start('sh', ['-c', pointed]);
    await expect.poll(() => written.stdout).toMatch(/^id: /m);
    await deliver(api, rawEvent(rawSession({ id: 'cs_test_curl' }))).expect(200);
    await expect.poll(() => written.stdout, { timeout: 5000 }).toMatch(/^event: \w+\ndata: \{.*cs_test_curl/m);
  }, 20_000);
}

if (has('python3', '-c', 'import requests, sqlite3')) {
  test('the Python consumer fulfils every payment through cut connections and one kill -9', async () => {
    await writeFile(join(folder, 'consumer.py'), printed('python'));
    const rowsOf = (text: string) => {
      const code = `import sqlite3\nfor (one,) in sqlite3.connect("shop.db", timeout=10).execute("${text}"): print(one)`;
      const { stdout } = spawnSync('python3', ['-c', code], { cwd: folder, encoding: 'utf8' });
      return stdout.split('\n').filter(Boolean);
    };
    // Ask once without waiting, so that the consumer's cursor starts at the current end of the log.
    await writeFile(
      join(folder, 'begin.py'),
      printed('python').replace('"wait": 30', '"wait": 0').replace('while True', 'for _ in [1]'),
    );
    // spawnSync would block the service, which runs in this process.
    await once(start('python3', ['begin.py']).child, 'exit');
    const first = start('python3', ['consumer.py']);
    const ids = await payWhileCut();
    first.child.kill('SIGKILL');
    ids.push(...(await payWhileCut()));
    const second = start('python3', ['consumer.py']);
    const fulfilled = () => rowsOf('SELECT session_id FROM fulfilled ORDER BY session_id');
    await expect.poll(fulfilled, { timeout: 20_000 }).toEqual(ids);
    expect(rowsOf('SELECT sum(amount) FROM fulfilled')).not.toEqual(['0']);
    expect([second.child.exitCode, second.written.stderr]).toEqual([null, '']);
  }, 90_000);

  test('the Python consumer stops at a cursor that the log does not have', async () => {
    const script = printed('python').replace('shop.db', 'other.db').replace('or ("now",)', `or ("${unknownCursor}",)`);
    await writeFile(join(folder, 'expired.py'), script);
    const { child, written } = start('python3', ['expired.py']);
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(written.stderr).toMatch(/^410: .*Begin again\.\n$/);
  });
}

const template = inject('template');

if (template.kind === 'postgres') {
  const { url: shopUrl } = await postgresDatabase(template.url, 'template0');

  test('the Node consumer fulfils every payment through cut connections and one kill -9', async () => {
    await writeFile(join(folder, 'consumer.mjs'), printed('js'));
    const run = () => start(process.execPath, ['consumer.mjs'], { SHOP_DATABASE_URL: shopUrl });
    const shop = new pg.Client({ connectionString: shopUrl });
    await shop.connect();
    onTestFinished(() => shop.end());
    const rowsOf = async (text: string) => (await shop.query(text).catch(() => ({ rows: [] }))).rows;
    const first = run();
    await expect.poll(() => rowsOf('SELECT cursor FROM feed'), { timeout: 30_000 }).toHaveLength(1);
    const ids = await payWhileCut();
    first.child.kill('SIGKILL');
    ids.push(...(await payWhileCut()));
    run();
    const fulfilled = async () =>
      (await rowsOf('SELECT session_id AS id FROM fulfilled ORDER BY session_id COLLATE "C"')).map(({ id }) => id);
    await expect.poll(fulfilled, { timeout: 20_000 }).toEqual(ids);
  }, 90_000);

  test('the Node consumer stops at a cursor that the log does not have', async () => {
    await writeFile(join(folder, 'expired.mjs'), printed('js').replace("?? 'now'", `?? '${unknownCursor}'`));
    const { url: emptyUrl } = await postgresDatabase(template.url, 'template0');
    const { child, written } = start(process.execPath, ['expired.mjs'], { SHOP_DATABASE_URL: emptyUrl });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(written.stderr).toMatch(/^410: .*Begin again\.\n$/);
  });
}
