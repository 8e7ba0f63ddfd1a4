import pino from 'pino';
import pretty from 'pino-pretty';
import { expect, test } from 'vitest';
import { loggable, logSerializers } from '../src/errors.js';
import { terminalFormat } from '../src/plugins/request-log.js';
import { contract } from './support/contract.js';
import { testDatabase } from './support/database.js';
import { type Service, sessionBody, sessionsPath, startService } from './support/service.js';
import { rawEvent, rawSession, signatureOf } from './support/stripe.js';
import { startStripeApi } from './support/stripe-api.js';

/** Part of every text that must not be logged: keys, secrets, signatures, customer data, queries, cursors. */
const mark = 'mArKeD';
const fullKey = `full-${mark}-0000001`;
const readKey = `read-${mark}-0000001`;
const secret = `whsec_${mark}`;
const id = 'cs_test_logs';

const lines: string[] = [];
const logger = pino(
  { level: 'trace', serializers: logSerializers },
  { write: (line: string) => void lines.push(line) },
);
const stripe = await startStripeApi();
const environment = {
  ...stripe.environment,
  ...{ STRIPE_API_KEYS: `${stripe.environment.STRIPE_API_KEYS},rk_live_${mark}` },
  ...{ API_KEYS: fullKey, API_READ_KEYS: readKey, STRIPE_WEBHOOK_SECRETS: secret, BODY_LIMIT: '5000' },
  LOG_CLIENT_ADDRESS: 'true',
};
const whole = await startService({ database: await testDatabase(), environment, logger });
const failing = await startService({ database: await testDatabase(), environment, logger });

const customer = {
  ...{ customer_email: `${mark}@example.com`, client_reference_id: mark, description: mark, cancel_url: `x:${mark}` },
  ...{ metadata: { [mark]: mark }, display_items: { [mark]: { name: mark } } },
};
const paths = Object.keys(contract.paths).map((path) => path.replace('{id}', id).replace('{name}', 'mode'));
const queries = ['', `?customer_email=${mark}`, `?cursor=${mark}`, `?${mark}=1`, `?metadata[${mark}]=${mark}&limit=1`];
const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
const stripeKey = `sk_test_${mark}`;
const credentials = [
  ...[fullKey, readKey, `wrong-${mark}`, stripeKey].map((key) => `Bearer ${key}`),
  ...[basic(fullKey), basic(mark), ''],
];
const bodies = [
  ['application/json', JSON.stringify(sessionBody({ id, ...customer }))],
  ['application/json', JSON.stringify({ ...customer, [mark]: 1 })],
  ['application/json', `{"customer_email":"${mark}`],
  ['application/json', JSON.stringify(mark.repeat(1000))],
  ['text/plain', mark],
] as const;
// Twice, because the second POST finds the session of the first.
const methods = ['POST', 'POST', 'PUT', 'PATCH'];
const everywhere = {
  ...{ cookie: mark, referer: `https://shop.example.com/?${mark}`, 'user-agent': mark, 'x-request-id': mark },
  ...{ 'if-none-match': `"${mark}"`, 'stripe-signature': `t=1,v1=${mark}`, 'x-forwarded-for': mark },
};

/** Sends every method to every path with every query, key and body, marked wherever possible. Counts the statuses. */
async function sendEverything(service: Service): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const count = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const send = async (method: string, path: string, headers: Record<string, string>, body?: string) => {
    const response = await fetch(`${service.url}${path}`, { method, headers, ...(body && { body }) });
    await response.arrayBuffer();
    count(response.status);
  };
  for (const path of [...paths, '/nothing', `/${mark}`, `${sessionsPath}/${mark}@example.com`, `/%zz${mark}`]) {
    for (const authorization of credentials) {
      const headers = { ...everywhere, ...(authorization && { authorization }) };
      for (const query of queries) await send('GET', `${path}${query}`, headers);
      for (const [type, body] of bodies) {
        for (const method of methods) {
          await send(method, `${path}?${mark}`, { ...headers, 'content-type': type }, body);
        }
      }
      await send('PATCH', path, { ...headers, 'content-type': 'application/json', 'if-match': `"${mark}"` }, '{}');
      await send('DELETE', path, { ...headers, 'if-match': `"${mark}"` });
    }
  }
  const event = rawEvent(rawSession({ id, ...customer, submit_type: mark }));
  const payload = JSON.stringify(event);
  await send('POST', '/webhooks/stripe', { 'stripe-signature': signatureOf(payload, secret) }, payload);
  return statuses;
}

/** Requests whose URL cannot be decoded. They are refused before routing and log no line. */
const unreadable = credentials.length * (queries.length + methods.length * bodies.length + 2);

/** Returns the parsed log once it has a line for each request. */
async function logged(requests: number): Promise<Record<string, unknown>[]> {
  const parsed = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  await expect.poll(() => parsed().filter(({ msg }) => msg === 'request').length).toBe(requests);
  return parsed();
}

/** Returns whether a line contains the mark, or a Basic credential that encodes it. */
const isRevealing = (line: string) =>
  line.includes(mark) || credentials.some((one) => one !== '' && line.includes(one));

const sum = (statuses: Map<number, number>) => [...statuses.values()].reduce((total, count) => total + count, 0);

test('every request logs one line, without a secret or customer data', async () => {
  lines.length = 0;
  stripe.putSession(rawSession({ id, ...customer, display_items: null }));
  const statuses = await sendEverything(whole);
  expect([...statuses.keys()].sort()).toEqual(
    expect.arrayContaining([200, 201, 400, 401, 403, 404, 405, 409, 412, 413, 415]),
  );
  const requests = (await logged(sum(statuses) - unreadable)).filter(({ msg }) => msg === 'request');
  for (const line of requests) expect(Object.keys(line)).toEqual(expect.arrayContaining(['request_id', 'status']));
  expect(requests.some(({ session }) => session === id)).toBe(true);
  expect(lines.filter(isRevealing)).toEqual([]);
});

test('failures of the database and Stripe log neither secrets nor customer data', async () => {
  const execute = (text: string) => failing.database.query({ text, values: [] });
  await execute(`ALTER TABLE checkout_session ADD CONSTRAINT no_one CHECK (customer_email NOT LIKE '%@example.com')`);
  await execute(`ALTER TABLE stripe_event RENAME TO lost`);
  lines.length = 0;
  stripe.fail(500, { times: 1000 });
  const statuses = await sendEverything(failing);
  expect([...statuses.keys()].sort()).toEqual(expect.arrayContaining([500, 502]));
  const entries = await logged(sum(statuses) - unreadable);
  const errors = entries.flatMap(({ err }) => (err ? [err as { type: string; code?: string }] : []));
  expect(errors.map(({ code }) => code)).toEqual(expect.arrayContaining(['23514', '42P01']));
  expect(errors.map(({ type }) => type)).not.toContain('Object');
  expect(lines.filter(isRevealing)).toEqual([]);
});

test('a logged error drops the fields that can hold row data or parameters', () => {
  lines.length = 0;
  const error = Object.assign(new Error(`duplicate key value (${mark})`), {
    ...{ code: '23505', detail: `Key (customer_email)=(${mark})`, where: mark, query: mark, parameters: [mark] },
    cause: Object.assign(new Error('behind it'), { hint: mark }),
  });
  logger.error({ err: error }, 'failed');
  logger.error({ err: loggable(error) }, 'failed');
  for (const line of lines) {
    expect(line).not.toContain(mark);
    expect(JSON.parse(line).err).toMatchObject({ type: 'Error', code: '23505', cause: { message: 'behind it' } });
  }
});

test('on a terminal a request is one line with the essentials first', () => {
  const shown: string[] = [];
  const stream = pretty.prettyFactory({ ...terminalFormat, colorize: false });
  const line = {
    level: 30,
    time: 0,
    request_id: 'r1',
    method: 'GET',
    route: '/api/enums',
    status: 200,
    duration_ms: 1.5,
  };
  shown.push(stream({ ...line, key: 'shop', msg: 'request' }), stream({ level: 30, time: 0, msg: 'stopped' }));
  expect(shown).toEqual([
    '[00:00:00.000] INFO: request GET /api/enums 200 1.5 ms {"request_id":"r1","key":"shop"}\n',
    '[00:00:00.000] INFO: stopped\n',
  ]);
});
