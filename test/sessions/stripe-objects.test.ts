import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectComponent, expectSession } from '../support/contract.js';
import { sessionsPath, startService } from '../support/service.js';

const { api } = await startService();

type Json = Record<string, unknown>;

interface Fixture {
  name: string;
  stripe: Json;
}

function load(folder: URL): Fixture[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return files.map((file) => ({
    name: basename(file, '.json'),
    stripe: JSON.parse(readFileSync(new URL(file, folder), 'utf8')),
  }));
}

// The shared fixtures come from other projects and are not part of this repository.
const own = load(new URL('../fixtures/sessions/', import.meta.url));
const shared = load(new URL('../../../shared/fixtures/sessions/', import.meta.url));
const fixtures = [...own, ...shared];

const oneOf = (value: unknown, allowed: string[]) => (allowed.includes(value as string) ? (value as string) : 'auto');
const idOf = (value: unknown) => (typeof value === 'object' && value !== null ? (value as Json).id : (value ?? null));

function modeOf({ mode, subscription, setup_intent }: Json): string {
  if (['payment', 'setup', 'subscription'].includes(mode as string)) return mode as string;
  if (subscription) return 'subscription';
  return setup_intent ? 'setup' : 'payment';
}

/** Builds the request a back end sends for a Checkout Session from Stripe's API. */
function toRequest(stripe: Json, id: string) {
  const { created, line_items } = stripe;
  return {
    id,
    billing_address_collection: oneOf(stripe.billing_address_collection, ['auto', 'required']),
    mode: modeOf(stripe),
    submit_type: oneOf(stripe.submit_type, ['auto', 'book', 'donate', 'pay']),
    livemode: stripe.livemode ?? null,
    created: typeof created === 'number' ? new Date(1000 * created).toISOString() : null,
    metadata: stripe.metadata ?? null,
    description: stripe.description ?? null,
    cancel_url: stripe.cancel_url ?? null,
    client_reference_id: stripe.client_reference_id ?? null,
    customer_email: stripe.customer_email ?? null,
    display_items: stripe.display_items ?? (line_items as Json | undefined)?.data ?? null,
    locale: stripe.locale ?? null,
    payment_method_types: stripe.payment_method_types ?? {},
    success_url: stripe.success_url ?? null,
    djstripe_owner_account: null,
    customer: idOf(stripe.customer),
    payment_intent: idOf(stripe.payment_intent),
    subscription: idOf(stripe.subscription),
  };
}

/** Returns the service's answer to a request: maps keyed by position, times in UTC, no plain string null. */
function answerTo(request: ReturnType<typeof toRequest>) {
  const { cancel_url, client_reference_id, customer_email, locale, success_url } = request;
  const keyed = (value: unknown) => (Array.isArray(value) ? Object.fromEntries(value.entries()) : value);
  const strings = Object.entries({ cancel_url, client_reference_id, customer_email, locale, success_url });
  return {
    ...request,
    ...Object.fromEntries(strings.map(([name, value]) => [name, value ?? ''])),
    created: request.created?.replace('.000Z', '+00:00') ?? null,
    display_items: keyed(request.display_items),
    payment_method_types: keyed(request.payment_method_types),
  };
}

function withoutReadOnly({ djstripe_id, djstripe_created, djstripe_updated, ...rest }: Json): Json {
  return rest;
}

test(`there are ${own.length} Stripe objects in the repository and ${shared.length} shared ones`, () => {
  expect(own.length).toBeGreaterThanOrEqual(8);
  const folder = new URL('../../../shared/fixtures/sessions/', import.meta.url);
  expect(shared.length > 0).toBe(existsSync(folder));
  for (const { name, stripe } of fixtures) expect(stripe.object, name).toBe('checkout.session');
});

describe.each([...own.map((one) => ({ ...one, from: 'own' })), ...shared.map((one) => ({ ...one, from: 'shared' }))])(
  '$from $name',
  ({ from, name, stripe }) => {
    test('is created, read and listed as it was sent', async () => {
      const request = toRequest(stripe, `cs_test_post_${from}_${name}`);
      const created = await api.post(sessionsPath).send(request).expect(201);
      expectSession(created.body);
      expect(withoutReadOnly(created.body)).toEqual(answerTo(request));

      const read = await api.get(`${sessionsPath}/${request.id}`).expect(200);
      expect([read.text, read.headers.etag]).toEqual([created.text, created.headers.etag]);

      const filters = request.customer ? [{ id: request.id }, { customer: request.customer }] : [{ id: request.id }];
      for (const filter of filters) {
        const { body: page } = await api
          .get(sessionsPath)
          .query({ ...filter, limit: 1000 })
          .expect(200);
        expectComponent('PaginatedDjStripeCheckoutSessionList', page);
        expect(page.results.filter(({ id }: Json) => id === request.id)).toEqual([read.body]);
        for (const session of page.results) expect(session).toMatchObject(filter);
      }
    });

    test('is put twice, and the second PUT changes only the ETag and djstripe_updated', async () => {
      const request = toRequest(stripe, `cs_test_put_${from}_${name}`);
      const path = `${sessionsPath}/${request.id}`;
      const created = await api.put(path).send(request).expect(201);
      expectSession(created.body);
      expect(withoutReadOnly(created.body)).toEqual(answerTo(request));

      const replaced = await api.put(path).send(created.body).expect(200);
      expect(withoutReadOnly(replaced.body)).toEqual(answerTo(request));
      expect(replaced.body.djstripe_id).toBe(created.body.djstripe_id);
      expect(replaced.headers.etag).not.toBe(created.headers.etag);
    });
  },
);

test.each([
  [
    '2019-display-items',
    {
      ...{ mode: 'payment', submit_type: 'auto', billing_address_collection: 'auto', created: null, metadata: null },
      ...{ customer: 'cus_Q2019Lamp', locale: 'de', livemode: true, payment_method_types: { '0': 'card' } },
      display_items: { '0': { amount: 2450, type: 'custom' }, '1': { sku: { attributes: { watt: '4' } } } },
    },
  ],
  [
    '2020-payment',
    {
      ...{ mode: 'payment', submit_type: 'donate', billing_address_collection: 'required', display_items: null },
      ...{ customer: null, customer_email: 'giver@charity.example' },
      payment_method_types: { '0': 'card', '1': 'bancontact', '2': 'eps' },
      metadata: { campaign: 'Forêt & océan', year: '2020' },
    },
  ],
  ['expired', { submit_type: 'book', created: '2024-12-15T00:00:00+00:00', cancel_url: '', metadata: {} }],
  [
    'modern-embedded',
    { created: '2025-07-15T10:00:00+00:00', success_url: '', cancel_url: '', metadata: { note: 'für Zoë 🎁' } },
  ],
  ['setup', { mode: 'setup', created: '2020-12-31T23:59:59+00:00', payment_method_types: {}, payment_intent: null }],
  [
    'subscription',
    {
      ...{ mode: 'subscription', submit_type: 'auto', created: '2026-01-01T00:00:00+00:00', payment_method_types: {} },
      ...{ customer: 'cus_T8Deleted', subscription: 'sub_1SPlanMonthly' },
    },
  ],
  [
    'expanded-objects',
    { customer: 'cus_PExpandedYuki', payment_intent: 'pi_3OExpandedYen', metadata: { 注文: '七千五百' } },
  ],
  [
    'expanded-line-items',
    {
      ...{ mode: 'subscription', subscription: 'sub_1QWeeklyBox', locale: '' },
      display_items: { '0': { description: 'Box, large' }, '1': { price: { unit_amount_decimal: '1300.5' } } },
    },
  ],
])('a session made from %s has the properties a client needs', async (name, expected) => {
  const fixture = own.find((one) => one.name === name);
  const request = toRequest(fixture?.stripe ?? {}, `cs_test_known_${name}`);
  const { body } = await api.post(sessionsPath).send(request).expect(201);
  expect(body).toMatchObject(expected);
});

test('a raw Stripe object is refused, and every property outside the contract named', async () => {
  const { stripe } = own.find(({ name }) => name === 'modern-embedded') as Fixture;
  const { body } = await api.post(sessionsPath).send(stripe).expect(400);
  const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer);
  expect(pointers).toEqual(expect.arrayContaining(['/object', '/amount_total', '/ui_mode', '/created']));
  await api.get(`${sessionsPath}/${stripe.id}`).expect(404);
});
