import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Fault } from '../errors.js';
import { enumComponents } from './enums.js';
import { pointerTo } from './json.js';
import { sessionIdRule } from './session.js';
import { parseTimestamp } from './timestamp.js';

/**
 * Returns a function that validates one part of a request against a published schema and returns its faults. The function
 * coerces nothing, removes nothing and reports every fault. ajv compiles the schema on the first call.
 *
 * @param subject the noun for messages about an unknown property, such as `a session`.
 */
export function validator(schema: object, part: Fault['in'], subject = 'this object'): (value: unknown) => Fault[] {
  let validate: ValidateFunction | undefined;
  return (value) => {
    validate ??= ajv.compile(schema);
    return validate(value) ? [] : (validate.errors ?? []).map((error) => ({ in: part, ...toFault(error, subject) }));
  };
}

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  strict: false,
  formats: { 'date-time': (text: string) => parseTimestamp(text) !== undefined, 'session-id': sessionIdRule },
  schemas: enumComponents,
});

const formatRules = {
  'date-time': 'must be an RFC 3339 date-time in a year from 0001 to 9999',
  'session-id': 'must have no control characters and not be . or ..',
};

/** Converts an error of ajv to a fault: a pointer and a plain sentence. */
function toFault(error: ErrorObject, subject: string): Omit<Fault, 'in'> {
  const { keyword, instancePath, params, message, schema } = error;
  switch (keyword) {
    case 'additionalProperties':
      return { pointer: pointerTo(instancePath, params.additionalProperty), detail: `is not a property of ${subject}` };
    case 'required':
      return { pointer: pointerTo(instancePath, params.missingProperty), detail: 'is required' };
    case 'enum':
      return { pointer: instancePath, detail: `must be one of ${(schema as string[]).join(', ')}` };
    case 'format':
      return { pointer: instancePath, detail: formatRules[schema as keyof typeof formatRules] };
    case 'pattern':
      return { pointer: instancePath, detail: `must match ${schema}` };
    default:
      return { pointer: instancePath, detail: message ?? 'is not valid' };
  }
}
