import { Type } from 'typebox';
import { catalogue, type Problem, type ProblemCode } from '../errors.js';

/**
 * Errors in Stripe's shape, for the paths that Stripe's SDKs call. The SDKs look for `error` in the body and ignore the
 * status: a problem document would come back to their caller as a session
 * (https://docs.stripe.com/api/errors, stripe-node 23 `RequestSender`).
 */

interface StripeErrorOptions {
  /** Stripe's code, for programs: https://docs.stripe.com/error-codes. */
  readonly code?: string;
  /** The parameter that is at fault. */
  readonly param?: string;
  /** Response headers that go with the error. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The problem that the error stands for, where a failure of ours or the database's is behind it. */
  readonly problem?: ProblemCode;
  /** The failure behind the error, for the log alone. */
  readonly cause?: unknown;
}

/** An answer other than success on a path of Stripe's. */
export class StripeError extends Error {
  readonly headers: Readonly<Record<string, string>>;
  /** The problem that the error stands for, by which the log is searched. */
  readonly problem: ProblemCode | undefined;
  readonly #options: StripeErrorOptions;

  constructor(
    /** HTTP status code. */
    readonly statusCode: number,
    message: string,
    options: StripeErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'StripeError';
    this.headers = options.headers ?? {};
    this.problem = options.problem;
    this.#options = options;
  }

  /** Returns the body to send. */
  document(): object {
    const { code, param } = this.#options;
    return {
      error: {
        type: this.statusCode >= 500 ? 'api_error' : 'invalid_request_error',
        ...(code && { code, doc_url: `https://docs.stripe.com/error-codes/${code.replaceAll('_', '-')}` }),
        message: this.message,
        ...(param && { param }),
      },
    };
  }
}

/** Returns the error for a session, or the row of a cursor, that does not exist for this reader. */
export function missingSession(id: string, { status = 404, param = 'session' } = {}): StripeError {
  return new StripeError(status, `No such checkout.session: '${id}'`, { code: 'resource_missing', param });
}

/** Returns a problem of this service as Stripe would have said it. */
export function asStripeError(problem: Problem): StripeError {
  const { statusCode, code, cause } = problem;
  // Stripe's shape has one message: with several faults it names each.
  const { errors = [] } = problem.document('', '');
  const places = errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`);
  const reason = places.length > 1 ? places.join('; ') : problem.message;
  // The description of a failure is written for writes as well; its title says what is wrong.
  const message = statusCode >= 500 ? `${catalogue[code].title}. ${reason}` : reason;
  // The query would time out again. Other 5xx may pass, and the SDKs repeat those by themselves.
  const isFutile = code === 'query-timeout';
  return new StripeError(statusCode, message, {
    ...(statusCode === 429 && { code: 'rate_limit' }),
    headers: { ...problem.headers, ...(isFutile && { 'stripe-should-retry': 'false' }) },
    problem: code,
    cause: cause ?? problem,
  });
}

const optionalText = (description: string, example: string) =>
  Type.Optional(Type.String({ description, examples: [example] }));

export const StripeErrorComponent = Type.Object(
  {
    error: Type.Object(
      {
        type: Type.String({
          description: '`invalid_request_error` or `api_error`.',
          examples: ['invalid_request_error'],
        }),
        code: optionalText("Stripe's code of the error, for programs.", 'resource_missing'),
        doc_url: optionalText("Stripe's page about the code.", 'https://docs.stripe.com/error-codes/resource-missing'),
        message: Type.String({
          description: 'What happened, for people.',
          examples: ["No such checkout.session: 'cs_test_1'"],
        }),
        param: optionalText('The parameter that is at fault.', 'session'),
      },
      { description: 'The error.' },
    ),
  },
  { $id: 'StripeError', description: "An error as Stripe's API answers it (https://docs.stripe.com/api/errors)." },
);
