import type { FastifySchemaCompiler } from 'fastify';
import { invalid } from '../errors.js';
import { validator } from '../model/validator.js';

/**
 * Validates path parameters against their schema before a handler runs. Handlers parse the query, the preconditions and
 * the body with the parsers of the model, which return typed values.
 */
export const validatePath: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  if (httpPart !== 'params') return () => true;
  const faultsOf = validator(schema, 'path');
  return (value) => {
    const faults = faultsOf(value);
    return faults.length > 0 ? { error: invalid(faults) } : { value };
  };
};
