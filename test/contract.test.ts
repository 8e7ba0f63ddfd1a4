import { expect, test } from 'vitest';
import YAML from 'yaml';
import { catalogue } from '../src/errors.js';
import { examples } from '../src/model/examples.js';
import { firstParameters } from '../src/model/list-schemas.js';
import { contract, expectComponent } from './support/contract.js';
import { sessionsPath, startService } from './support/service.js';

const { api } = await startService();

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description: string;
  parameters?: { name: string; in: string; description: string }[];
  responses: Record<string, { description: string; content?: Record<string, { schema: { $ref?: string } }> }>;
}

const operations: [string, Operation][] = Object.entries(contract.paths).flatMap(([path, methods]) =>
  Object.entries(methods as Record<string, Operation>).map(([method, operation]): [string, Operation] => [
    `${method.toUpperCase()} ${path}`,
    operation,
  ]),
);

test('the published document equals the reviewed test/openapi.json (npm run contract rewrites it)', async () => {
  const { text } = await api
    .get('/openapi.json')
    .expect(200)
    .expect('content-type', /^application\/json/);
  await expect(`${text}\n`).toMatchFileSnapshot('./openapi.json');
});

test('the YAML document equals the JSON document', async () => {
  const { text } = await api.get('/openapi.yaml').buffer().expect(200).expect('content-type', /yaml/);
  expect(YAML.parse(text)).toEqual(contract);
});

test('operation ids are the names generated clients rely on', () => {
  expect(Object.fromEntries(operations.map(([route, { operationId }]) => [route, operationId]))).toMatchObject({
    'GET /api/checkout-sessions': 'checkout_sessions_list',
    'POST /api/checkout-sessions': 'checkout_sessions_create',
    'GET /api/checkout-sessions/{id}': 'checkout_sessions_retrieve',
    'PUT /api/checkout-sessions/{id}': 'checkout_sessions_update',
    'PATCH /api/checkout-sessions/{id}': 'checkout_sessions_partial_update',
    'DELETE /api/checkout-sessions/{id}': 'checkout_sessions_destroy',
    'GET /api/enums': 'enums_list',
    'GET /api/enums/{name}': 'enums_retrieve',
  });
});

test.each(operations)('%s describes its purpose, parameters and errors', (route, operation) => {
  for (const text of [operation.summary, operation.description]) expect(text.length).toBeGreaterThan(10);
  expect(operation.tags).toHaveLength(1);
  for (const { name, description } of operation.parameters ?? []) expect(description, name).toMatch(/\w/);
  const failures = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
  expect(failures.map(([status]) => status)).toContain('500');
  if (route.includes('/api/')) expect(failures.map(([status]) => status)).toContain('401');
  for (const [status, { description, content }] of failures) {
    if (route.includes('/v1/')) {
      expect(content?.['application/json']?.schema.$ref).toBe('#/components/schemas/StripeError');
      continue;
    }
    expect(content?.['application/problem+json']?.schema.$ref).toBe('#/components/schemas/Problem');
    const codes = [...description.matchAll(/urn:problem:([\w-]+)/g)].map(([, code]) => code as keyof typeof catalogue);
    expect(codes.length).toBeGreaterThan(0);
    for (const code of codes) expect(catalogue[code].status).toBe(Number(status));
  }
});

test.each(Object.entries(examples))('the example of %s is valid and appears in the document', (name, example) => {
  expectComponent(name, example);
  expect(JSON.stringify(contract.paths)).toContain(JSON.stringify(example));
});

test('the example of a create request is accepted as it stands', async () => {
  const { body } = await api.post(sessionsPath).send(examples.DjStripeCheckoutSessionRequest).expect(201);
  const { djstripe_id, djstripe_created, djstripe_updated, ...published } = examples.DjStripeCheckoutSession;
  expect(body).toMatchObject(published);
});

test("DjStripeCheckoutSession has the contract's 22 properties in order and nothing that breaks generators", () => {
  const { properties, required, ...rest } = contract.components.schemas.DjStripeCheckoutSession;
  expect(contract.openapi).toBe('3.0.3');
  expect(Object.keys(rest)).toEqual(['type']);
  expect(Object.keys(properties)).toEqual([
    ...['djstripe_id', 'billing_address_collection', 'mode', 'submit_type', 'djstripe_created', 'djstripe_updated'],
    ...['id', 'livemode', 'created', 'metadata', 'description', 'cancel_url', 'client_reference_id', 'customer_email'],
    ...['display_items', 'locale', 'payment_method_types', 'success_url', 'djstripe_owner_account', 'customer'],
    ...['payment_intent', 'subscription'],
  ]);
  expect([...required].sort()).toEqual([
    ...['billing_address_collection', 'djstripe_created', 'djstripe_id', 'djstripe_updated', 'id', 'mode'],
    ...['payment_method_types', 'submit_type'],
  ]);
  for (const property of Object.values<Record<string, unknown>>(properties)) {
    expect(property).not.toHaveProperty('default');
    if (property.$ref) expect(Object.keys(property)).toEqual(['$ref']);
  }
});

/**
 * The pattern syntax that PCRE2, Ruby, Python, RE2, Java and ECMAScript read alike: no `\u`, `\s`, `\d`, `\p`, back
 * reference, or character above `\x7f`.
 */
const tokens =
  /^(?:[ !"#%&',/:;<=>@A-Za-z0-9_`~^$.*+?()|-]|\{\d+(?:,\d*)?\}|\\[t.*+?^$|()[\]{}/-]|\\x[0-7][0-9a-f]|\[\^?(?:[ -Z_-~]|\\[t\]^-]|\\x[0-7][0-9a-f])+\])+$/;

/** RE2 has no lookaround, and ECMAScript no inline flags, so only `(?:` groups are portable. */
const isPortable = (pattern: string) => tokens.test(pattern) && !/\(\?(?!:)/.test(pattern);

function patternsOf(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  const own = (value as { pattern?: unknown }).pattern;
  return [...(typeof own === 'string' ? [own] : []), ...Object.values(value).flatMap(patternsOf)];
}

const patterns = [...new Set(patternsOf(contract))];

test('the document contains patterns', () => expect(patterns.length).toBeGreaterThan(1));

test.each(patterns)('the pattern %s means the same in every client language', (pattern) => {
  expect(isPortable(pattern)).toBe(true);
});

test.each(['^(?!a)b$', '^[^\\u0000]+$', '[\\x80-\\xff]', '\\s', '\\d', '\\p{L}', '[é]', '(a)\\1', '(?<n>a)'])(
  'the portability check rejects %s',
  (pattern) => expect(isPortable(pattern)).toBe(false),
);

test('no component has a name that generators would derive from an operation or a property', () => {
  const pascal = (name: string) => name.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
  const schemas = Object.entries<{ properties?: object }>(contract.components.schemas);
  const prefixes = operations.map(([, { operationId }]) => pascal(operationId));
  const names = schemas.flatMap(([name, { properties = {} }]) =>
    Object.keys(properties).map((property) => name + pascal(property)),
  );
  const clashes = schemas.filter(
    ([name]) => names.includes(name) || prefixes.some((prefix) => name.startsWith(prefix)),
  );
  expect(clashes.map(([name]) => name)).toEqual([]);
});

test.each(['checkout_sessions_list', 'stripe_events_list'])(
  '%s lists the most wanted parameters first, and each only once',
  (operationId) => {
    const [, operation] = operations.find(([, one]) => one.operationId === operationId) ?? [];
    const names = operation?.parameters?.map(({ name }) => name) ?? [];
    const first = firstParameters.filter((name) => names.includes(name));
    expect(names.slice(0, first.length)).toEqual(first);
    expect(new Set(names).size).toBe(names.length);
  },
);

test('the docs page loads all its assets from this service', async () => {
  const { text } = await api
    .get('/docs/')
    .expect(200)
    .expect('content-type', /^text\/html/);
  const assets = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path as string);
  expect(assets.length).toBeGreaterThan(3);
  for (const asset of assets) await api.get(new URL(asset, 'http://localhost/docs/').pathname).expect(200);
  for (const asset of assets) expect(asset).not.toMatch(/^(https?:)?\/\//);
});
