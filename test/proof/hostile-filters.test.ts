import { describe, expect, test } from 'vitest';
import { contract } from '../support/contract.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, signatureOf, webhookSecret } from '../support/stripe.js';

/** Values with a meaning in SQL, LIKE, regular expressions, JSON or a shell, tried in every filter. */

const { api } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });

const hostile = [
  ...[
    "' OR '1'='1",
    '"; DROP TABLE checkout_session; --',
    "'; SELECT pg_sleep(10); --",
    'x\\',
    "E'\\x41'",
    '$1',
    '$$',
    '#{x}',
  ],
  ...[
    '::text',
    '/* x */',
    '--',
    ')) OR ((1=1',
    '%',
    '_',
    '%%__',
    '\\%',
    '.*',
    '^$',
    '(a+)+$',
    '[[:alpha:]]',
    '[a-z',
    '*',
  ],
  ...[
    '{}',
    '[]',
    '{"a":1}',
    'null',
    'NULL',
    'true',
    '0',
    '-1',
    '1e9',
    'NaN',
    '\u202e',
    '＇',
    'ﬀ',
    'İ',
    'a\nb',
    'a\tb',
    ' ',
  ],
  ...['constructor', '`id`', '$(id)', '../../etc/passwd', '<script>', '&customer=x', '#', '?', '+', '%00'],
];

const texts = ['description', 'cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'].concat(
  ...['djstripe_owner_account', 'customer', 'payment_intent', 'subscription'],
);

/** Builds a query string from filters. */
const query = (filters: Record<string, string>) => `?${new URLSearchParams(filters)}`;
const all = (names: string[], lookup: string, value: string) =>
  Object.fromEntries(names.map((name) => [`${name}${lookup}`, value]));

const ids = new Map<string, string>();
for (const value of hostile) {
  const fields = { ...all(texts, '', value), metadata: { [value]: value }, payment_method_types: { 0: value } };
  const { body } = await api.post(sessionsPath).send(sessionBody(fields)).expect(201);
  ids.set(value, body.id);
}

async function found(filters: Record<string, string>): Promise<string[]> {
  const { body } = await api.get(`${sessionsPath}${query({ ...filters, limit: '1000' })}`).expect(200);
  return body.results.map(({ id }: { id: string }) => id);
}

describe.each(hostile)('the value %j', (value) => {
  const id = ids.get(value) as string;

  test('is matched literally by every text filter', async () => {
    expect(await found(all(texts, '', value))).toEqual([id]);
    expect(await found({ [`metadata[${value}]`]: value })).toEqual([id]);
    expect(await found({ payment_method_types__contains: value })).toEqual([id]);
    const beginning = hostile.filter((other) => other.startsWith(value)).map((other) => ids.get(other));
    expect((await found(all(texts, '__startswith', value))).sort()).toEqual(beginning.sort());
    expect(await found(all(texts, '__icontains', value))).toContain(id);
    expect(await found(all(texts, '__iexact', value))).toContain(id);
    expect(await found(all(texts, '[]', value))).toEqual([id]);
    expect(await found({ email: value })).toContain(id);
    if (!value.includes(',')) expect(await found(all(texts, '__in', value))).toEqual([id]);
  });
});

const lists = [
  { path: sessionsPath, parameters: contract.paths[sessionsPath].get.parameters },
  { path: '/api/stripe-events', parameters: contract.paths['/api/stripe-events'].get.parameters },
];

describe.each(lists)('the list $path', ({ path, parameters }) => {
  interface Parameter {
    name: string;
    schema: { type: string };
  }
  test.each((parameters as Parameter[]).map(({ name }) => name))(
    '%s accepts or refuses each hostile value',
    async (name) => {
      const parameter = name === 'metadata' ? 'metadata[a]' : name;
      for (let at = name.length % 12; at < hostile.length; at += 12) {
        const { status } = await api.get(`${path}${query({ [parameter]: hostile[at] as string })}`);
        expect([200, 400], `${parameter}=${hostile[at]}`).toContain(status);
      }
    },
  );

  test('a hostile filter name is reported as unknown', async () => {
    for (const value of hostile) {
      const { body, status } = await api.get(`${path}${query({ [value]: '1' })}`);
      expect([status, body.errors?.length], value).toEqual([400, 1]);
    }
  });
});

test('hostile values from Stripe are stored and found unchanged', async () => {
  const check = async (value: string) => {
    const references = { payment_link: value, invoice: { id: value }, customer_account: value };
    const details = { customer_details: { email: value } };
    const fields = { customer: value, metadata: { [value]: value }, status: value, ...references, ...details };
    const session = rawSession({ id: sessionBody().id, ...fields });
    await deliver(api, rawEvent(session, { account: value })).expect(200);
    const { client_secret, ...raw } = session;
    expect((await api.get(`${sessionsPath}/${session.id}/stripe-data`).expect(200)).body).toEqual(raw);
    expect(await found({ id: session.id })).toEqual([session.id]);
    expect(await found({ id: session.id, email: value })).toEqual([session.id]);
    expect(await found({ id: session.id, payment_link: value, invoice: value, customer_account: value })).toEqual([
      session.id,
    ]);
  };
  await Promise.all(hostile.map(check));
});

test('a deeply nested event is applied or ignored, and never fails', async () => {
  for (const depth of [60, 1000, 10_000, 200_000]) {
    const { id } = sessionBody();
    const event = JSON.stringify(rawEvent(rawSession({ id, metadata: { a: 'nested' } })));
    const payload = event.replace('"nested"', `${'['.repeat(depth)}${']'.repeat(depth)}`);
    const headers = { 'content-type': 'application/json', 'stripe-signature': signatureOf(payload) };
    const { body } = await api.post('/webhooks/stripe').set(headers).send(payload).expect(200);
    expect([depth, body.outcome]).toEqual([depth, depth > 60 ? 'ignored' : 'applied']);
    await api.get(`${sessionsPath}/${id}`).expect(body.outcome === 'applied' ? 200 : 404);
  }
});
