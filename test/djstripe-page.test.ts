import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environmentVariables } from '../src/config.js';
import { sessionsPath, startService } from './support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from './support/stripe.js';

/** Checks the statements of docs/djstripe.md against the running service. */

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = read('docs/djstripe.md');
const { api } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: webhookSecret } });

const id = 'cs_test_page';
await deliver(api, rawEvent(rawSession({ id }))).expect(200);

const urls = [...page.matchAll(/(POST )?(\/api\/[^\s`"]+)/g)].filter(([, post]) => !post).map(([, , url = '']) => url);

test.each([...new Set(urls)])('GET %s in docs/djstripe.md is answered with 200', async (url) => {
  await api.get(url.replace('{id}', id)).expect(200);
});

test('page, offset and format are 400, and count is null by default, as docs/djstripe.md says', async () => {
  expect(urls.length).toBeGreaterThan(8);
  for (const parameter of ['page=2', 'offset=50', 'format=json']) {
    expect(page).toContain(parameter);
    await api.get(`${sessionsPath}?${parameter}`).expect(400);
  }
  const { body } = await api.get(sessionsPath).expect(200);
  expect(body.count).toBeNull();
});

test('PUT with If-Match: * replaces a session but never creates one', async () => {
  const { body } = await api.get(`${sessionsPath}/${id}`).expect(200);
  await api
    .put(`${sessionsPath}/${id}0`)
    .set('if-match', '*')
    .send({ ...body, id: `${id}0` })
    .expect(412);
  await api.put(`${sessionsPath}/${id}`).set('if-match', '*').send(body).expect(200);
});

test('the commands and variables in docs/djstripe.md exist', () => {
  const { scripts } = JSON.parse(read('package.json'));
  const commands = [...page.matchAll(/npm run ([\w-]+)/g)].map(([, name = '']) => name);
  expect(commands.length).toBeGreaterThan(2);
  for (const name of commands) expect(scripts).toHaveProperty(name);
  const theirs = [
    'STRIPE_TEST_SECRET_KEY',
    'STRIPE_LIVE_SECRET_KEY',
    'STRIPE_LIVE_MODE',
    'DJSTRIPE_FOREIGN_KEY_TO_FIELD',
    'DJSTRIPE_SUBSCRIBER_CUSTOMER_KEY',
  ];
  const names = [...page.matchAll(/\b[A-Z]+_[A-Z_]+\b/g)].map(([name]) => name);
  expect(names.filter((name) => !theirs.includes(name) && !environmentVariables.includes(name))).toEqual([]);
});
