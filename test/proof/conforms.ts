import { Ajv, type ValidateFunction } from 'ajv';
import { expect } from 'vitest';
import { parseTimestamp } from '../../src/model/timestamp.js';
import { contract, contractAsSchema } from '../support/contract.js';

/** Checks any answer of the service against the reviewed contract: status, media type, headers and body. */

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  formats: {
    int64: Number.isSafeInteger,
    'date-time': (text: string) => parseTimestamp(text) !== undefined,
    uri: (text: string) => URL.canParse(text),
  },
});
ajv.addSchema(contractAsSchema(), 'contract');

const validators = new Map<string, ValidateFunction>();

/** Returns a validator for the schema at a path of the contract. */
function validatorOf(...place: string[]): ValidateFunction {
  const pointer = place.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  let validate = validators.get(pointer);
  if (!validate) {
    validate = ajv.compile({ $ref: `contract#/${pointer}` });
    validators.set(pointer, validate);
  }
  return validate;
}

/**
 * Expects an answer to conform to the contract.
 *
 * @param path as the contract writes it, such as `/api/checkout-sessions/{id}`
 */
export function expectConforms(method: string, path: string, { status, headers, text }: Answer): void {
  const operation = [path, method.toLowerCase()] as const;
  const responses = contract.paths[path][operation[1]].responses;
  const described = responses[status];
  expect(described, `${method} ${path} answers ${status}, which the contract does not know`).toBeDefined();
  for (const [name, header] of Object.entries<{ schema: { type: string } }>(described.headers ?? {})) {
    if (name !== 'Retry-After')
      expect(headers.get(name), `${method} ${path} ${status}: ${name}`).toEqual(expect.any(String));
    expect(['string', 'integer']).toContain(header.schema.type);
  }
  const [mediaType = ''] = Object.keys(described.content ?? {});
  if (mediaType === '') expect(text).toBe('');
  else expect(headers.get('content-type')?.split(';')[0]).toBe(mediaType);
  if (!mediaType.endsWith('json')) return;
  const validate = validatorOf('paths', ...operation, 'responses', String(status), 'content', mediaType, 'schema');
  validate(JSON.parse(text));
  expect(validate.errors ?? [], `${method} ${path} ${status}: ${text}`).toEqual([]);
}
