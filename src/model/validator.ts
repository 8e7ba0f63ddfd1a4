import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Fault } from '../errors.js';
import { enumComponents } from './enums.js';
import { pointerTo } from './json.js';
import { parseTimestamp } from './timestamp.js';

/**
 * A check of one part of requests against a published schema: coerces nothing, removes nothing, reports every
 * fault. Compiled on first use.
 */
export function validator(schema: object, part: Fault['in']): (value: unknown) => Fault[] {
  let validate: ValidateFunction | undefined;
  return (value) => {
    validate ??= ajv.compile(schema);
    return validate(value) ? [] : (validate.errors ?? []).map((error) => ({ in: part, ...placed(error) }));
  };
}

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  strict: false,
  formats: { 'date-time': (text: string) => parseTimestamp(text) !== undefined },
  schemas: enumComponents,
});

/** What an error of ajv means, at the place that it means. */
function placed({ keyword, instancePath, params, message, schema }: ErrorObject): Omit<Fault, 'in'> {
  switch (keyword) {
    case 'additionalProperties':
      return { pointer: pointerTo(instancePath, params.additionalProperty), detail: 'is not a property of a session' };
    case 'required':
      return { pointer: pointerTo(instancePath, params.missingProperty), detail: 'is required' };
    case 'enum':
      return { pointer: instancePath, detail: `must be one of ${(schema as string[]).join(', ')}` };
    case 'format':
      return { pointer: instancePath, detail: 'must be an RFC 3339 date-time in a year from 0001 to 9999' };
    case 'pattern':
      return { pointer: instancePath, detail: 'must have no control characters and not be . or ..' };
    default:
      return { pointer: instancePath, detail: message ?? 'is not valid' };
  }
}
