import type { OpenAPIV3 } from 'openapi-types';
import { type TSchema, Type } from 'typebox';
import { catalogue, invalid, Problem, type ProblemCode, type ProblemKind } from '../../errors.js';
import { problemType } from '../error-handler.js';

/** Responses for the `response` of a route's schema. */

/** Refers to a published component by its name. */
export function reference(name: string): TSchema {
  return Type.Ref(`${name}#`);
}

/** Describes a response with a JSON body. */
export function json(description: string, schema: TSchema, headers?: Record<string, TSchema>) {
  return { description, content: { 'application/json': { schema } }, ...(headers && { headers }) };
}

/** Describes a response without a body. */
export function empty(description: string, headers?: Record<string, TSchema>) {
  return { type: 'null', description, ...(headers && { headers }) };
}

interface ProblemResponse {
  description: string;
  headers: Record<string, TSchema>;
  content: { [problemType]: { schema: TSchema; examples: Record<string, object> } };
}

const requestIdHeader = Type.String({ description: 'The id of the request in the log.' });
const retryAfterHeader = Type.Integer({
  description: 'Seconds to wait before a retry, for problems that a retry may solve.',
});

/** Describes the error responses of a route. Problems with the same status share one response. */
export function problems(...codes: ProblemCode[]): Record<number, ProblemResponse> {
  const responses: Record<number, ProblemResponse> = {};
  for (const code of codes) {
    const { status, title, description, retryAfter }: ProblemKind = catalogue[code];
    const text = `\`urn:problem:${code}\` ${title}. ${description}`;
    const before = responses[status];
    responses[status] = {
      description: before ? `${before.description}\n\n${text}` : text,
      headers: {
        'X-Request-Id': requestIdHeader,
        ...before?.headers,
        ...(retryAfter && { 'Retry-After': retryAfterHeader }),
      },
      content: {
        [problemType]: {
          schema: Type.Ref('Problem#'),
          examples: { ...before?.content[problemType].examples, [code]: { $ref: `#/components/examples/${code}` } },
        },
      },
    };
  }
  return responses;
}

/** Problems that no operation lists: the service answers them before it finds an operation. */
const beforeOperations: readonly string[] = ['method-not-allowed', 'headers-too-large', 'expectation-failed'];

/** Returns an example of each problem of the operations, by its code. */
export function problemExamples(): Record<string, OpenAPIV3.ExampleObject> {
  const fault = { in: 'body', pointer: '/mode', detail: 'must be one of payment, setup, subscription' } as const;
  const codes = (Object.keys(catalogue) as ProblemCode[]).filter((code) => !beforeOperations.includes(code));
  return Object.fromEntries(
    codes.map((code) => {
      const problem = code === 'invalid-request' ? invalid([fault]) : new Problem(code);
      const value = problem.document('/api/checkout-sessions', '6f1c1f4e-6f0a-4b56-9a53-3f6b2d1f4a4e');
      return [code, { summary: catalogue[code].title, value }];
    }),
  );
}
