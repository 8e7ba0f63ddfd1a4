/** Creates, reads, lists, patches, replaces and deletes sessions, and compares the answers with the requests. */
import { deepStrictEqual as equal, ok } from 'node:assert';
import createClient from 'openapi-fetch';
import type { components, paths } from './checkout-sessions.js';

type Session = components['schemas']['DjStripeCheckoutSession'];
type SessionRequest = components['schemas']['DjStripeCheckoutSessionRequest'];
type Problem = components['schemas']['Problem'];
type Query = NonNullable<paths['/api/checkout-sessions']['get']['parameters']['query']>;

const { BASE_URL = '', API_KEY = '' } = process.env;
const anonymous = createClient<paths>({ baseUrl: BASE_URL });
const client = createClient<paths>({ baseUrl: BASE_URL, headers: { authorization: `Bearer ${API_KEY}` } });
const sessionsPath = '/api/checkout-sessions';
const sessionPath = '/api/checkout-sessions/{id}';

const full = {
  billing_address_collection: 'required',
  mode: 'subscription',
  submit_type: 'donate',
  id: 'cs_test_full',
  livemode: false,
  created: '2026-01-31T12:00:00+00:00',
  metadata: { order: '6735', størrelse: '42' },
  description: 'Three cups, "hand-made" 🫖',
  cancel_url: 'https://example.com/cancel?from=cart',
  client_reference_id: 'cart-6735',
  customer_email: 'buyer@example.com',
  display_items: { 0: { amount: 4_294_967_296, currency: 'dkk' } },
  locale: 'en',
  payment_method_types: { 0: 'card', 1: 'klarna' },
  success_url: 'https://example.com/success',
  djstripe_owner_account: null,
  customer: 'cus_1',
  payment_intent: 'pi_1',
  subscription: 'sub_1',
} satisfies SessionRequest;

const least = {
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'pay',
  id: 'cs_test_least',
  payment_method_types: {},
} satisfies SessionRequest;

const nothing = {
  livemode: null,
  created: null,
  metadata: null,
  description: null,
  cancel_url: '',
  client_reference_id: '',
  customer_email: '',
  display_items: null,
  locale: '',
  success_url: '',
  djstripe_owner_account: null,
  customer: null,
  payment_intent: null,
  subscription: null,
};

isProblem((await anonymous.GET(sessionsPath)).error, 401, 'urn:problem:unauthorized');
equal(await list({}), []);

const createdFull = await create(full);
const createdLeast = await create(least);
ok(createdFull.djstripe_id > 0 && createdLeast.djstripe_id > createdFull.djstripe_id);
equal(writable(createdFull), full);
equal(writable(createdLeast), { ...nothing, ...least });
equal(await read(full.id), createdFull);
equal(await read(least.id), createdLeast);

equal(await list({ customer: 'cus_1' }), [createdFull]);
equal(await list({ metadata: { order: '6735', størrelse: '42' } }), [createdFull]);
equal(await list({ metadata: { order: '0' } }), []);
equal(await list({ id__in: [least.id, full.id], ordering: '-djstripe_id' }), [createdLeast, createdFull]);
const { data: first } = await client.GET(sessionsPath, { params: { query: { limit: 1, count: 'exact' } } });
equal([first?.results.length, first?.count, first?.previous], [1, 2, null]);
const cursor = new URL(first?.next ?? '').searchParams.get('cursor') ?? '';
equal((await list({ limit: 1, count: 'exact', cursor })).length, 1);

const { data: patched } = await client.PATCH(sessionPath, {
  params: { path: { id: full.id } },
  body: { metadata: { gift: 'yes', order: null }, customer: null, locale: 'da' },
});
ok(patched);
equal(writable(patched), { ...full, metadata: { størrelse: '42', gift: 'yes' }, customer: null, locale: 'da' });
equal(patched.djstripe_created, createdFull.djstripe_created);
ok(patched.djstripe_updated > createdFull.djstripe_updated);
equal(await read(full.id), patched);

// A client may send back the whole session that it read, with the read-only properties.
const { data: replaced } = await client.PUT(sessionPath, {
  params: { path: { id: full.id }, header: { 'If-Match': '*' } },
  body: createdFull,
});
ok(replaced);
equal(writable(replaced), full);

for (const { id } of [full, least]) {
  const { response } = await client.DELETE(sessionPath, { params: { path: { id } } });
  equal(response.status, 204);
  const { error } = await client.GET(sessionPath, { params: { path: { id } } });
  isProblem(error, 404, 'urn:problem:session-not-found');
}
equal(await list({}), []);

async function list(query: Query): Promise<Session[]> {
  const { data, error } = await client.GET(sessionsPath, { params: { query } });
  equal(error, undefined);
  return data?.results ?? [];
}

async function create(body: SessionRequest): Promise<Session> {
  const { data, error } = await client.POST(sessionsPath, { body });
  equal(error, undefined);
  ok(data);
  return data;
}

async function read(id: string): Promise<Session> {
  const { data, error } = await client.GET(sessionPath, { params: { path: { id } } });
  equal(error, undefined);
  ok(data);
  return data;
}

/** Returns the fields of a session that a request may set. */
function writable({ djstripe_id, djstripe_created, djstripe_updated, ...rest }: Session): SessionRequest {
  return rest;
}

function isProblem(problem: Problem | undefined, status: number, type: string): void {
  equal([problem?.status, problem?.type], [status, type]);
}
