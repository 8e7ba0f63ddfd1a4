import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Fault } from '../errors.js';
import { enumComponents } from './enums.js';
import { pointerTo } from './json.js';
import { sessionIdRule } from './session.js';
import { parseTimestamp } from './timestamp.js';

/**
 * Returns a check of one part of requests against a published schema. The check coerces nothing, removes nothing and
 * reports every fault. It is compiled on first use.
 *
 * @param subject what the schema describes, `a session`, for the message about a property that it does not have.
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

/** Returns what an error of ajv means, and the place that it means. */
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
