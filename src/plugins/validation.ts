import type { FastifySchemaCompiler } from 'fastify';
import { invalid } from '../errors.js';
import type { Parsed } from '../model/session-request.js';
import { validator } from '../model/validator.js';

type ParseQuery = (query: Record<string, string>) => Parsed<unknown>;

/**
 * Validates what can be validated before a handler runs: path parameters against their schema, the query with a
 * parser of the model, which knows more than a schema can say. Bodies and preconditions are read by the handlers.
 */
export function requestValidator(parseQuery?: ParseQuery): FastifySchemaCompiler<object> {
  return ({ schema, httpPart }) => {
    if (httpPart === 'params') {
      const faultsOf = validator(schema, 'path');
      return (value) => {
        const faults = faultsOf(value);
        return faults.length > 0 ? { error: invalid(faults) } : { value };
      };
    }
    if (httpPart === 'querystring' && parseQuery) {
      return (query) => {
        const parsed = parseQuery(query);
        return parsed.faults ? { error: invalid(parsed.faults) } : { value: parsed.value };
      };
    }
    return () => true;
  };
}
