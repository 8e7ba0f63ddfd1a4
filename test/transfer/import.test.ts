import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { sessionStore } from '../../src/database/sessions/store.js';
import { parseSession } from '../../src/model/session-request.js';
import { expectSession } from '../support/contract.js';
import { processDatabase } from '../support/database.js';
import { runWarmCommand as run, runCommandLine } from '../support/process.js';
import { sessionBody } from '../support/service.js';
import { rawEvent, rawSession } from '../support/stripe.js';
import { fixture, ndjson, temporaryFile, totalsOf } from './support.js';

const { environment, use } = await processDatabase();

// Takes several ids at once, because each `use` reopens the embedded database.
const documentsOf = (...ids: string[]) =>
  use(async (database) => {
    const rows = await Promise.all(ids.map((id) => sessionStore(database).find(id)));
    return rows.map((row) => (row ? JSON.parse(row.document) : undefined));
  });
const remove = (...ids: string[]) =>
  use(async (database) => {
    for (const id of ids) await sessionStore(database).remove(id, { match: undefined, noneMatch: undefined });
  });
const create = (database: Database, id: string) => {
  const { value } = parseSession(sessionBody({ id })) as {
    value: Parameters<ReturnType<typeof sessionStore>['create']>[0];
  };
  return sessionStore(database).create(value);
};
const everything = () =>
  use((database) =>
    database.query({
      text: `SELECT id, djstripe_id || '-' || version AS tag, document FROM checkout_session ORDER BY id`,
      values: [],
    }),
  );

test('import applies every kind of line, reports each bad line, and changes nothing when repeated', async () => {
  const exit = await runCommandLine('import', [fixture('mixed.ndjson')], environment);
  expect(exit.code).toBe(1);
  expect(totalsOf(exit)).toEqual({ read: 11, applied: 5, unchanged: 0, deleted: 0, ignored: 1, bad: 5 });
  const reported = exit.stderr.split('\n').filter((line) => line.startsWith('line '));
  expect(reported.map((line) => line.slice(0, line.indexOf(':'))).sort()).toEqual(
    ['line 5', 'line 7', 'line 9', 'line 10', 'line 11', 'line 12'].sort(),
  );
  expect(exit.stderr).toMatch(
    /line 7: extra is not a property of a session; mode must be one of payment, setup, subscription$/m,
  );
  expect(exit.stderr).toContain('line 10: cs_test_collides has the djstripe_id 814 here, as cs_test_kept has 812');

  const [kept, raw, added] = await documentsOf('cs_test_kept', 'cs_test_raw', 'cs_test_new');
  expectSession(kept);
  const source = readFileSync(fixture('mixed.ndjson'), 'utf8').split('\n')[7] as string;
  expect(kept).toEqual({
    ...JSON.parse(source),
    djstripe_updated: '2024-05-02T10:00:00.654321+00:00',
    created: '2024-05-01T09:59:59+00:00',
  });
  expect(kept.metadata.note).toBe('line\u2028ends');
  expect(raw).toMatchObject({ metadata: { step: 'paid' } });
  expect(added).toMatchObject({ payment_method_types: { '0': 'card', '1': 'link' } });

  const before = await everything();
  const again = await run('import', [fixture('mixed.ndjson')], environment);
  expect(totalsOf(again)).toEqual({ read: 11, applied: 0, unchanged: 5, deleted: 0, ignored: 1, bad: 5 });
  expect(await everything()).toEqual(before);

  // 813 went to cs_test_new, which is in the same batch, and 814 to cs_test_collides.
  const next = await use((database) => create(database, 'cs_test_after_812'));
  expect(JSON.parse(next?.document ?? '').djstripe_id).toBe(815);
});

test('an imported row replaces an older one, but not when it is older or of unknown age', async () => {
  const row = (name: string, updated: string | undefined, description: string) =>
    sessionBody({ id: `cs_test_ages_${name}`, description, djstripe_updated: updated });
  const both = (updated: string, description: string) => [
    row('one', updated, description),
    row('two', updated, description),
  ];
  const steps: [object[], string, number][] = [
    [both('2026-01-02T00:00:00Z', 'first'), 'first', 2],
    [[row('one', '2026-01-01T23:59:59.999999Z', 'older'), row('two', undefined, 'of unknown age')], 'first', 0],
    [both('2026-01-02T00:00:00.000001Z', 'newer'), 'newer', 2],
  ];
  for (const [rows, description, applied] of steps) {
    const exit = await run('import', ['-'], environment, ndjson(rows));
    expect(exit).toMatchObject({ code: 0 });
    expect(totalsOf(exit)).toMatchObject({ read: 2, applied, unchanged: 2 - applied });
    expect(await documentsOf('cs_test_ages_one', 'cs_test_ages_two')).toMatchObject([{ description }, { description }]);
  }
});

test('lines of one session are applied in their order', async () => {
  const at = (second: number) =>
    sessionBody({ id: 'cs_test_order', description: `${second}`, djstripe_updated: `2026-01-01T00:00:0${second}Z` });
  const exit = await run('import', ['-'], environment, ndjson([at(1), at(3), at(2)]));
  expect(totalsOf(exit)).toMatchObject({ applied: 2, unchanged: 1 });
  expect(await documentsOf('cs_test_order')).toMatchObject([{ description: '3' }]);
});

test('a deleted session stays deleted on import, and --restore brings it back from any kind of line', async () => {
  const object = rawSession({ id: 'cs_test_gone_object' });
  const event = rawEvent(rawSession({ id: 'cs_test_gone_event', status: 'complete' }));
  const row = sessionBody({ id: 'cs_test_gone_row', djstripe_id: 900, djstripe_updated: '2026-01-01T00:00:00Z' });
  const input = ndjson([object, event, row]);
  expect(totalsOf(await run('import', ['-'], environment, input))).toMatchObject({ applied: 3 });
  const ids = [object.id, event.data.object.id, row.id];
  await remove(...ids);
  const kept = await run('import', ['-'], environment, input);
  expect(kept.code).toBe(0);
  // The event is a duplicate.
  expect(totalsOf(kept)).toMatchObject({ applied: 0, deleted: 2, unchanged: 1 });
  expect(await documentsOf(...ids)).toEqual([undefined, undefined, undefined]);
  const restored = await run('import', ['--restore', '-'], environment, input);
  expect(totalsOf(restored)).toMatchObject({ applied: 3 });
  const documents = await documentsOf(...ids);
  expect(documents.map((document) => document?.id)).toEqual(ids);
  expect(documents[2]).toMatchObject({ djstripe_id: 900 });
});

test.each([
  ['an array', (one: object, other: object) => JSON.stringify([one, other], null, 2)],
  ["Stripe's list", (one: object, other: object) => JSON.stringify({ object: 'list', data: [one, other] }, null, 2)],
  [
    'a page of this API',
    (one: object, other: object) => JSON.stringify({ count: null, next: null, results: [one, other] }),
  ],
  ['newline-delimited JSON', (one: object, other: object) => ndjson([one, other])],
])('%s can be imported from a file and from standard input', async (_, write) => {
  const content = write(rawSession({ id: 'cs_test_document_1' }), sessionBody());
  const path = await temporaryFile('sessions.json', content);
  expect(totalsOf(await run('import', [path], environment))).toMatchObject({ read: 2, bad: 0 });
  expect(totalsOf(await run('import', ['-'], environment, content))).toMatchObject({ read: 2, applied: 0, bad: 0 });
});

test('the lines npm prints before an export are skipped, and a bad line is reported once', async () => {
  const input = `\n> checkout-session-service@0.1.0 export\n> node dist/cli/export.js\n\n{"cut\n${ndjson([sessionBody()])}`;
  const exit = await run('import', ['-'], environment, input);
  expect(totalsOf(exit)).toMatchObject({ read: 2, applied: 1, bad: 1 });
  expect(exit.stderr).toContain('line 5: is not JSON');
});

test('a row whose djstripe_id is taken gets the next free one, and keeps it when imported again', async () => {
  const [one, other] = [sessionBody({ djstripe_id: 5000 }), sessionBody({ djstripe_id: 5000 })];
  const input = ndjson([one, other, sessionBody({ id: 'cs_test_numbered' }), sessionBody({ djstripe_id: 5002 })]);
  const exit = await run('import', ['-'], environment, input);
  expect(exit.code).toBe(0);
  expect(exit.stderr).toContain(`line 2: ${other.id} has the djstripe_id 5004 here, as ${one.id} has 5000`);
  expect(exit.stdout).toContain('1 row got a new djstripe_id');
  expect(totalsOf(exit)).toMatchObject({ applied: 4, bad: 0 });
  expect(await documentsOf('cs_test_numbered')).toMatchObject([{ djstripe_id: 5003 }]);
  const before = await everything();
  const again = await run('import', ['-'], environment, input);
  expect(totalsOf(again)).toMatchObject({ unchanged: 4 });
  expect(again.stdout).not.toContain('new djstripe_id');
  expect(await everything()).toEqual(before);
});

test('--keep-numbers rejects a taken djstripe_id, as a full export does', async () => {
  const [one, other] = [sessionBody({ djstripe_id: 6000 }), sessionBody({ djstripe_id: 6000 })];
  const exit = await run('import', ['--keep-numbers', '-'], environment, ndjson([one, other]));
  expect(exit.code).toBe(1);
  expect(exit.stderr).toContain(`line 2: has the djstripe_id 6000, which ${one.id} has here`);
  expect(totalsOf(exit)).toMatchObject({ applied: 1, bad: 1 });
  const { stdout } = await run('export', ['--full'], environment);
  const whole = stdout.split('\n').find((line) => line.includes(`"${one.id}"`)) as string;
  const exact = await run('import', ['-'], environment, whole.replace(String(one.id), 'cs_test_exact'));
  expect(exact.stderr).toMatch(
    /line 1: has the djstripe_id 6000, which .* has here: a full export is restored exactly/,
  );
  expect(exact.code).toBe(1);
});

test('a restore whose write fails leaves the session deleted', async () => {
  const inputs = {
    object: rawSession({ id: 'cs_test_refused_object' }),
    event: rawEvent(rawSession({ id: 'cs_test_refused_event', status: 'complete' })),
    row: sessionBody({ id: 'cs_test_refused_row', djstripe_updated: '2026-01-01T00:00:00Z' }),
  };
  const ids = [inputs.object.id, inputs.event.data.object.id, inputs.row.id];
  const input = ndjson(Object.values(inputs));
  await run('import', ['-'], environment, input);
  await remove(...ids);
  const statement = (text: string) => use((database) => database.query({ text, values: [] }));
  await statement(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$`);
  await statement(`CREATE TRIGGER refuse BEFORE INSERT ON checkout_session FOR EACH ROW
    WHEN (NEW.id LIKE 'cs_test_refused%') EXECUTE FUNCTION refuse()`);
  const failed = await run('import', ['--restore', '-'], environment, input);
  expect(totalsOf(failed)).toMatchObject({ read: 3, bad: 3 });
  await statement('DROP TRIGGER refuse ON checkout_session');
  const later = rawEvent(rawSession({ id: ids[1] as string, status: 'complete', payment_status: 'paid' }));
  const kept = await run('import', ['-'], environment, ndjson([inputs.object, later, inputs.row]));
  expect(totalsOf(kept)).toMatchObject({ deleted: 3 });
  expect(totalsOf(await run('import', ['--restore', '-'], environment, input))).toMatchObject({ applied: 3 });
});

const envelope = (detail: object) => ({ version: '0', 'detail-type': 'checkout.session.completed', detail });

test.each([
  ['an event in an EventBridge envelope', envelope(rawEvent(rawSession({ id: 'cs_test_bridge_1' })))],
  ['a session in an EventBridge envelope', envelope(rawSession({ id: 'cs_test_bridge_2' }))],
  [
    'an event in an Azure Event Grid envelope',
    { specversion: '1.0', type: 'x', data: rawEvent(rawSession({ id: 'cs_test_grid' })) },
  ],
])('%s can be imported plain and gzipped, from a file and from standard input', async (_, value) => {
  const packed = gzipSync(ndjson([value]));
  expect(totalsOf(await run('import', ['-'], environment, packed))).toMatchObject({ read: 1, applied: 1 });
  const path = await temporaryFile('events.ndjson', packed);
  expect(totalsOf(await run('import', [path], environment))).toMatchObject({ read: 1, unchanged: 1 });
  expect(totalsOf(await run('import', ['-'], environment, ndjson([value])))).toMatchObject({ unchanged: 1 });
});

test.each([
  [
    'a gzip file that is cut off',
    gzipSync(ndjson([sessionBody()])).subarray(0, 40),
    'The gzip file is damaged or cut off',
  ],
  ['CSV', 'id,Created (UTC),Amount\ncs_1,2026-01-01,1\n', 'This is CSV, not JSON. Import takes'],
  ['a page of HTML', '<!doctype html>\n<p>', 'This is XML or HTML, not JSON. Import takes'],
])('%s is refused with one line', async (_, content, message) => {
  const exit = await run('import', ['-'], environment, content);
  expect(exit).toMatchObject({ code: 1, stdout: '' });
  expect(exit.stderr.trim().split('\n')).toEqual([expect.stringContaining(message)]);
});

test("empty enums in a page of dj-stripe's API become their defaults", async () => {
  const empty = { mode: '', submit_type: '', billing_address_collection: '' };
  const page = {
    count: 2,
    next: null,
    previous: null,
    results: [
      sessionBody({ ...empty, id: 'cs_test_page_1', djstripe_id: 7001 }),
      sessionBody({ ...empty, id: 'cs_test_page_2', djstripe_id: 7002, subscription: 'sub_1' }),
    ],
  };
  const exit = await run('import', ['-'], environment, JSON.stringify(page));
  expect(totalsOf(exit)).toMatchObject({ applied: 2 });
  expect(exit.stderr.trim()).toBe('2 read, 2 applied, 0 failed');
  expect(await documentsOf('cs_test_page_1', 'cs_test_page_2')).toMatchObject([
    { mode: 'payment', submit_type: 'auto', billing_address_collection: 'auto', djstripe_id: 7001 },
    { mode: 'subscription', djstripe_id: 7002 },
  ]);
});

test('import drops client_secret from a Stripe object stored as text', async () => {
  const object = rawSession({ id: 'cs_test_text_1', livemode: null, metadata: { order: '1\0' } });
  expect(object.client_secret).toBeDefined();
  const row = {
    ...{ djstripe_id: 90_001, id: 'cs_test_text_1', djstripe_updated: '2026-01-02T00:00:00Z' },
    stripe_data: JSON.stringify(object, null, 2),
  };
  const path = await temporaryFile('text.ndjson', ndjson([row]));
  const exit = await run('import', [path], environment);
  expect(totalsOf(exit), exit.stderr).toMatchObject({ read: 1, applied: 1, bad: 0 });
  const text = `SELECT stripe_data ? 'client_secret' AS secret, stripe_data #>> '{metadata,order}' AS "order" FROM checkout_session
    WHERE id = 'cs_test_text_1'`;
  expect(await use((database) => database.query({ text, values: [] }))).toEqual([{ secret: false, order: '1\uFFFD' }]);
  expect(totalsOf(await run('import', [path], environment))).toMatchObject({ read: 1, unchanged: 1 });
});

test('import resolves references in a Django dumpdata file and ignores other models', async () => {
  const fields = {
    ...{ djstripe_created: '2026-01-01T00:00:00Z', djstripe_updated: '2026-01-02T00:00:00Z', livemode: false },
    ...{ created: '2026-01-01T00:00:00Z', metadata: { a: '1' }, mode: '', submit_type: '', locale: '' },
    ...{ billing_address_collection: '', payment_method_types: ['card'], payment_status: 'paid', amount_total: 7 },
  };
  const dump = [
    {
      model: 'djstripe.session',
      pk: 8001,
      fields: { ...fields, id: 'cs_test_dump_1', customer: 3, subscription: 'sub_1' },
    },
    { model: 'djstripe.session', pk: 8002, fields: { ...fields, id: 'cs_test_dump_2', customer: 4 } },
    { model: 'djstripe.customer', pk: 3, fields: { id: 'cus_3' } },
    { model: 'auth.user', pk: 3, fields: { id: 'cus_wrong' } },
  ];
  const exit = await run('import', ['-'], environment, JSON.stringify(dump));
  expect(totalsOf(exit)).toMatchObject({ read: 4, applied: 2, ignored: 2 });
  expect(exit.stdout).toContain('References to objects that are not in the file: 1.');
  expect(await documentsOf('cs_test_dump_1', 'cs_test_dump_2')).toMatchObject([
    {
      djstripe_id: 8001,
      customer: 'cus_3',
      subscription: 'sub_1',
      mode: 'subscription',
      payment_method_types: { '0': 'card' },
    },
    { djstripe_id: 8002, customer: null },
  ]);
});

test('only the line PostgreSQL cannot hold is rejected', async () => {
  const input = ndjson([
    sessionBody(),
    sessionBody({ metadata: { note: 'a\0b' } }),
    sessionBody({ metadata: { n: 1 } }),
  ]);
  const exit = await run('import', ['-'], environment, input);
  expect(totalsOf(exit)).toMatchObject({ read: 3, applied: 2, bad: 1 });
  expect(exit.stderr).toContain('line 2: metadata/note contains U+0000');
});

test.each(['import', 'export'] as const)('%s --help prints the usage without opening a database', async (command) => {
  const exit = await run(command, ['--help'], { DATA_DIR: '/dev/null/none' });
  expect(exit).toMatchObject({ code: 0, stderr: '' });
  expect(exit.stdout).toContain(`npm run ${command === 'import' ? '' : '--silent '}${command} -- `);
});

test.each([[[]], [['one', 'two']], [['/no/such/file.ndjson']], [['--nonsense']], [['--from-djstripe', 'mysql://x']]])(
  'import with the arguments %j exits with 2',
  async (args) => {
    const exit = await run('import', args, environment);
    expect(exit.code).toBe(2);
    expect(exit.stderr).not.toMatch(/^\s+at /m);
  },
);
