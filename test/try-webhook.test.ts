import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { sampleEvents } from '../src/cli/sample-events.js';
import { sessionEventTypes } from '../src/stripe/event-body.js';
import { processDatabase } from './support/database.js';
import { runCommandLine, startProcess } from './support/process.js';
import { startService } from './support/service.js';

/** `npm run try-webhook` in a process of its own, against a service of this test. */

const secret = 'whsec_try';
const { url } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: `whsec_older,${secret}` } });

const { environment: migrated } = await processDatabase();

const tryWebhook = (args: readonly string[], environment: Record<string, string> = {}) =>
  runCommandLine('try-webhook', args, environment);

async function get(path: string) {
  return (await fetch(`${url}${path}`)).json();
}

test('there is a sample of each type of event that carries a session', () => {
  expect(sampleEvents(0).map(({ type }) => type)).toEqual(sessionEventTypes);
});

test('each sample is applied, and a second run is a duplicate', async () => {
  for (const outcome of ['applied', 'duplicate']) {
    const { code, stdout, stderr } = await tryWebhook(['--url', url], { STRIPE_WEBHOOK_SECRETS: secret });
    expect(stderr).toBe('');
    for (const { type, data } of sampleEvents(0)) {
      expect(stdout).toMatch(new RegExp(`^${outcome} +${type} +${data.object.id}$`, 'm'));
    }
    expect(stdout).toContain(`  curl ${url}/api/checkout-sessions/cs_test_sample_paid/payment\n`);
    expect(code).toBe(0);
  }
});

test('the payment of each sample is read back', async () => {
  await tryWebhook(['--url', `${url}/`]);
  const payments = {
    paid: { status: 'complete', payment_status: 'paid', payment_failed: false },
    delayed: { status: 'complete', payment_status: 'paid', currency: 'eur', payment_failed: false },
    failed: { status: 'complete', payment_status: 'unpaid', payment_failed: true },
    expired: { status: 'expired', payment_status: 'unpaid', payment_failed: false },
  };
  for (const [name, payment] of Object.entries(payments)) {
    expect(await get(`/api/checkout-sessions/cs_test_sample_${name}/payment`)).toMatchObject(payment);
  }
});

test('--new applies each sample again, under ids of its own', async () => {
  await tryWebhook(['--url', url]);
  const { code, stdout } = await tryWebhook(['--url', url, '--new']);
  expect(stdout.match(/^applied .* cs_test_sample_\w+_\w+$/gm)).toHaveLength(sessionEventTypes.length);
  expect(code).toBe(0);
});

test('the webhook needs no API key, and the output says that reads need one', async () => {
  const API_KEYS = randomUUID();
  const { url: closed } = await startService({ environment: { API_KEYS, STRIPE_WEBHOOK_SECRETS: secret } });
  const { code, stdout } = await tryWebhook(['--url', closed], { API_KEYS });
  expect(stdout).toContain('with -H "Authorization: Bearer KEY" if the service has keys');
  expect(stdout).not.toContain(API_KEYS);
  expect(code).toBe(0);
});

test('a secret that the service does not have is refused, and the message says which to set', async () => {
  const STRIPE_WEBHOOK_SECRETS = 'whsec_of_another_service';
  const { code, stdout, stderr } = await tryWebhook(['--url', url], { STRIPE_WEBHOOK_SECRETS });
  expect(stderr).toContain('400: No signature matches.');
  expect(stderr).toContain('STRIPE_WEBHOOK_SECRETS');
  expect(stderr).not.toContain(STRIPE_WEBHOOK_SECRETS);
  expect([code, stdout]).toEqual([1, '']);
});

test('a service without a secret is explained', async () => {
  const { url: bare } = await startService();
  const { code, stderr } = await tryWebhook(['--url', bare]);
  expect(stderr).toContain('503: Set STRIPE_WEBHOOK_SECRETS');
  expect(stderr).toContain(`STRIPE_WEBHOOK_SECRETS=${secret} npm start`);
  expect(code).toBe(1);
});

test('a service that ignores test events is a failure', async () => {
  const environment = { STRIPE_WEBHOOK_SECRETS: secret, STRIPE_LIVEMODE: 'live' };
  const { url: live } = await startService({ environment });
  const { code, stdout } = await tryWebhook(['--url', live]);
  expect(stdout).toMatch(/^ignored /);
  expect(stdout).not.toContain('curl');
  expect(code).toBe(1);
});

test.each([
  ['a port without a service', ['--url', 'http://127.0.0.1:9'], 'No service answers at http://127.0.0.1:9 ', 1],
  ['another path', ['--url', `${url}/elsewhere`], '/elsewhere/webhooks/stripe answers 404', 1],
  ['an address without a scheme', ['--url', 'localhost'], '--url', 2],
  ['an unknown option', ['--ulr', url], '--ulr', 2],
] as const)('%s is refused', async (_, args, words, status) => {
  const { code, stdout, stderr } = await tryWebhook(args);
  expect(stderr).toContain(words);
  expect([code, stdout]).toEqual([status, '']);
});

test.each([{ STRIPE_API_KEYS: 'sk_live_of_a_shop' }, { STRIPE_LIVEMODE: 'live' }])(
  'the environment %j of a live service is refused',
  async (environment) => {
    const { code, stdout, stderr } = await tryWebhook(['--url', url], environment);
    expect(stderr).toContain(`${Object.keys(environment)[0]}`);
    expect(stderr).toContain('live');
    expect([code, stdout]).toEqual([1, '']);
  },
);

test.each([
  [{ STRIPE_WEBHOOK_SECRETS: secret }, 'npm run try-webhook -- --url'],
  [{}, `STRIPE_WEBHOOK_SECRETS=${secret} npm start`],
])('npm start with %j prints how to try the webhook', async (environment, words) => {
  const service = await startProcess({ ...migrated, npm_lifecycle_event: 'start', ...environment });
  expect(service.output()).toContain(words);
});
