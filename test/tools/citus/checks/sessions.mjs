/** Checks of the API's writes, one by one and many at once. */
import { sessionsPath } from '../../load/operations.mjs';

/** @typedef {import('../checks.mjs').Trial} Trial */

const wrongTag = { 'if-match': '"0-0"' };
const many = Array.from({ length: 30 }, (_, index) => index);
const some = many.slice(0, 20);
/** The limit of djstripe_id. The coordinator's sequence stays below it; a worker's sequence counts far above. */
const bound = 2 ** 31;

/** @param {readonly import('../client.mjs').Answer[]} answers @param {number} status */
const allAre = (answers, status) => answers.every((answer) => answer.status === status);

/** Returns the body of a session. @param {string} run @param {string} id @param {Record<string, unknown>} [fields] */
export const bodyOf = (run, id, fields = {}) => ({
  ...{ id, billing_address_collection: 'auto', mode: 'payment', submit_type: 'auto' },
  ...{ payment_method_types: { 0: 'card' }, metadata: { a: '1' }, created: '2026-01-02T03:04:05Z' },
  ...{ customer: `cus_${run}`, customer_email: `p${run}@example.com` },
  ...fields,
});

/** @param {Trial} trial */
export async function checkSessions(trial) {
  await checkCreate(trial);
  await checkReplace(trial);
  await checkPatch(trial);
  await checkMany(trial);
  await checkRemove(trial);
}

/** @param {Trial} trial */
async function checkCreate({ check, client: { call, session }, run, idOf }) {
  const id = idOf(1);
  const created = await call('POST', sessionsPath, bodyOf(run, id));
  check('POST creates', created.status === 201 && created.etag !== undefined, created);
  const again = await call('POST', sessionsPath, bodyOf(run, id));
  check('POST of an existing session', again.status === 409, again);
  const found = await session('GET', id);
  check('GET', found.status === 200 && found.text === created.text, found);
  const known = await session('GET', id, undefined, { 'if-none-match': String(created.etag) });
  check('GET with If-None-Match', known.status === 304, known);
  const missing = await session('GET', idOf('none'));
  check('GET of a missing session', missing.status === 404, missing);
  const withPayment = await session('GET', `${id}?include=payment`);
  check('GET with the payment', withPayment.status === 200 && withPayment.json.payment === null, withPayment);
}

/** @param {Trial} trial */
async function checkReplace({ check, client: { session }, run, idOf }) {
  const id = idOf(2);
  const body = bodyOf(run, id);
  const created = await session('PUT', id, body);
  check('PUT creates', created.status === 201, created);
  const replaced = await session('PUT', id, { ...body, description: 'd' });
  const isSame = replaced.json?.djstripe_id === created.json?.djstripe_id && replaced.etag !== created.etag;
  check('PUT replaces', replaced.status === 200 && replaced.json.description === 'd' && isSame, replaced);
  const refused = await session('PUT', id, body, wrongTag);
  check('PUT with a wrong If-Match', refused.status === 412, refused);
  const matched = await session('PUT', id, body, { 'if-match': String(replaced.etag) });
  check('PUT with If-Match', matched.status === 200, matched);
  const existing = await session('PUT', id, body, { 'if-none-match': '*' });
  check('PUT with If-None-Match: * of an existing session', existing.status === 412, existing);
  const fresh = await session('PUT', idOf('2n'), bodyOf(run, idOf('2n')), { 'if-none-match': '*' });
  check('PUT with If-None-Match: * creates', fresh.status === 201, fresh);
  const absent = await session('PUT', idOf('2x'), bodyOf(run, idOf('2x')), { 'if-match': '*' });
  check('PUT with If-Match: * of a missing session', absent.status === 412, absent);
}

/** @param {Trial} trial */
async function checkPatch({ check, client: { session }, idOf }) {
  const id = idOf(1);
  const scalar = await session('PATCH', id, { description: 'x', created: '2026-02-02T02:02:02Z' });
  const isSet = scalar.json?.description === 'x' && scalar.json.created.startsWith('2026-02-02');
  check('PATCH of plain values', scalar.status === 200 && isSet, scalar);
  const merged = await session('PATCH', id, { metadata: { b: { c: 1 }, a: null } });
  check('PATCH merges a map', merged.json?.metadata.b?.c === 1 && !('a' in merged.json.metadata), merged);
  const removed = await session('PATCH', id, { metadata: null, payment_method_types: ['card', 'link'] });
  const isArray = removed.json?.payment_method_types['1'] === 'link';
  check('PATCH with null and an array', removed.json?.metadata === null && isArray, removed);
  const nothing = await session('PATCH', id, {});
  check('PATCH without changes', nothing.status === 200 && nothing.etag === removed.etag, nothing);
  const refused = await session('PATCH', id, { description: 'y' }, wrongTag);
  check('PATCH with a wrong If-Match', refused.status === 412, refused);
  const missing = await session('PATCH', idOf('none'), { description: 'y' });
  check('PATCH of a missing session', missing.status === 404, missing);
  const keys = await Promise.all(some.map((key) => session('PATCH', id, { metadata: { [`k${key}`]: 'v' } })));
  check(
    'PATCH of 20 keys at once',
    allAre(keys, 200),
    keys.find(({ status }) => status !== 200),
  );
  const { json } = await session('GET', id);
  check('all 20 keys survive', Object.keys(json?.metadata ?? {}).length === some.length, json?.metadata);
}

/** @param {Trial} trial */
async function checkMany({ check, client: { call, session }, run, idOf }) {
  const ids = many.map((index) => idOf(`m${index}`));
  const created = await Promise.all(ids.map((id, index) => call('POST', sessionsPath, bodyOf(run, id, at(index)))));
  check(
    'POST of 30 at once',
    allAre(created, 201),
    created.find(({ status }) => status !== 201),
  );
  const numbers = new Set(created.map(({ json }) => json?.djstripe_id));
  const areSmall = [...numbers].every((number) => number < bound);
  check('each has a djstripe_id of its own below 2^31', numbers.size === ids.length && areSmall, [...numbers]);
  const found = await Promise.all(ids.map((id) => session('GET', id)));
  check(
    'GET of 30 at once',
    found.every(({ text }, index) => text === created[index]?.text),
    found.find(({ status }) => status !== 200),
  );
  const patched = await Promise.all(
    some.map((index) => session('PATCH', ids[index] ?? '', { description: `n${index}` })),
  );
  const areOwn = patched.every(({ json }, index) => json?.description === `n${index}`);
  check(
    'PATCH of 20 sessions at once',
    areOwn,
    patched.find(({ status }) => status !== 200),
  );
  const replaced = await Promise.all(
    some.map((index) =>
      session('PUT', ids[index] ?? '', bodyOf(run, ids[index] ?? '', { ...at(index), description: `P${index}` })),
    ),
  );
  check(
    'PUT of 20 sessions at once',
    allAre(replaced, 200),
    replaced.find(({ status }) => status !== 200),
  );
}

/** @param {number} second */
const at = (second) => ({ created: `2026-01-03T00:00:${String(second).padStart(2, '0')}Z` });

/** @param {Trial} trial */
async function checkRemove({ check, client: { call, session }, run, idOf }) {
  const id = idOf('gone');
  const created = await call('POST', sessionsPath, bodyOf(run, id));
  const refused = await session('DELETE', id, undefined, wrongTag);
  check('DELETE with a wrong If-Match', refused.status === 412, refused);
  const removed = await session('DELETE', id);
  check('DELETE', removed.status === 204, removed);
  for (const [method, path, body] of /** @type {[string, string, unknown?][]} */ ([
    ...[
      ['GET', ''],
      ['GET', '/payment'],
      ['GET', '/stripe-data'],
      ['DELETE', ''],
    ],
    ['PATCH', '', { description: 'r' }],
  ])) {
    const answer = await session(method, `${id}${path}`, body);
    check(`${method} ${path} of a deleted session`, answer.status === 404, answer);
  }
  const listed = await call('GET', `${sessionsPath}?id=${id}&count=exact`);
  check('the list omits a deleted session', listed.json?.count === 0 && listed.json.results.length === 0, listed);
  const again = await call('POST', sessionsPath, bodyOf(run, id));
  const isFresh = again.json?.djstripe_id !== created.json?.djstripe_id && again.json?.metadata.a === '1';
  check('POST of a deleted session', again.status === 201 && isFresh, again);
  const matched = await session('DELETE', id, undefined, { 'if-match': String(again.etag) });
  check('DELETE with If-Match', matched.status === 204, matched);
  const replaced = await session('PUT', id, bodyOf(run, id));
  check('PUT of a deleted session', replaced.status === 201, replaced);
}
