import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'vitest';
import { sessionIdRule } from '../../src/model/session.js';
import { parseTimestamp } from '../../src/model/timestamp.js';

/** The reviewed contract, test/openapi.json. */
export const contract = JSON.parse(readFileSync(new URL('../openapi.json', import.meta.url), 'utf8'));

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  formats: {
    'date-time': (text: string) => parseTimestamp(text) !== undefined,
    uri: (text: string) => URL.canParse(text),
    'session-id': sessionIdRule,
  },
});
ajv.addSchema(contractAsSchema(), 'contract');

/** Returns the contract as JSON Schema. */
export function contractAsSchema(): object {
  return withNulls(contract) as object;
}

/**
 * Replaces OpenAPI 3.0's "a component or null". It writes `nullable` beside `allOf`, and JSON Schema ignores
 * `nullable`.
 */
function withNulls(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(withNulls);
  const { allOf, nullable, type, ...rest } = value as Record<string, unknown>;
  if (nullable === true && allOf) return { ...rest, anyOf: [...(allOf as unknown[]), { enum: [null] }] };
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withNulls(one)]));
}

/** Expects a body to satisfy a component of the contract. */
export function expectComponent(name: string, body: unknown): void {
  // Ajv caches the compiled schema under this reference.
  const validate = ajv.getSchema(`contract#/components/schemas/${name}`);
  if (!validate) throw new Error(`the contract has no component ${name}`);
  validate(body);
  expect(validate.errors ?? []).toEqual([]);
}

const plainStrings = ['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'];

/** Expects a session that strict clients can read: valid, with every property, and no plain string null. */
export function expectSession(body: Record<string, unknown>): void {
  expectComponent('DjStripeCheckoutSession', body);
  expect(Object.keys(body)).toEqual(Object.keys(contract.components.schemas.DjStripeCheckoutSession.properties));
  for (const name of plainStrings) expect(body[name]).toEqual(expect.any(String));
}
