import { Type } from 'typebox';

/** The components of an error: the problem document of RFC 9457, and the faults of a request that it lists. */

const Fault = Type.Object(
  {
    in: Type.String({
      enum: ['body', 'query', 'path', 'header'],
      description: 'The part of the request that has the fault.',
      examples: ['body'],
    }),
    pointer: Type.String({
      description: 'RFC 6901 pointer into that part. Empty for the whole part.',
      examples: ['/mode'],
    }),
    detail: Type.String({
      description: 'The rule that the value breaks.',
      examples: ['must be one of payment, setup, subscription'],
    }),
  },
  { $id: 'Fault', description: 'A value in a request that breaks a rule.' },
);

const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'The identifier of the kind of problem: `urn:problem:` and a code.',
      examples: ['urn:problem:invalid-request'],
    }),
    title: Type.String({
      description: 'The name of the kind of problem, for people.',
      examples: ['The request is not valid'],
    }),
    status: Type.Integer({ description: 'The HTTP status code.', examples: [400] }),
    detail: Type.String({
      description: 'The cause of this occurrence.',
      examples: ['mode: must be one of payment, setup, subscription'],
    }),
    instance: Type.String({
      description: 'The path of the request, without the query.',
      examples: ['/api/checkout-sessions'],
    }),
    request_id: Type.String({
      description: 'The id of the request in the log.',
      examples: ['6f1c1f4e-6f0a-4b56-9a53-3f6b2d1f4a4e'],
    }),
    errors: Type.Optional(
      Type.Array(Type.Ref('Fault#'), { description: 'Every fault of the request, for an invalid request.' }),
    ),
  },
  { $id: 'Problem', description: 'An error, as a problem document (RFC 9457).' },
);

export const problemComponents = [Fault, Problem];
