import { Type } from 'typebox';
import { catalogue, type Problem, type ProblemCode } from '../errors.js';

/**
 * Errors in Stripe's shape, for the paths that Stripe's SDKs call (https://docs.stripe.com/api/errors). The SDKs look for
 * `error` in the body and ignore the status, so they would return a problem document to their caller as a session
 * (stripe-node 23 `RequestSender`).
 */

interface StripeErrorOptions {
  /** Stripe's error code: https://docs.stripe.com/error-codes. */
  readonly code?: string;
  /** The name of the invalid parameter. */
  readonly param?: string;
  /** Additional response headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The problem behind the error, if this service or the database failed. */
  readonly problem?: ProblemCode;
  /** The cause, for the log only. */
  readonly cause?: unknown;
}

/** An error response on one of Stripe's paths. */
export class StripeError extends Error {
  readonly headers: Readonly<Record<string, string>>;
  /** The problem behind the error. The log has its code. */
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

  /** Returns the response body. */
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

/** Returns the error for a session that does not exist for this reader, or for a cursor that names such a session. */
export function missingSession(id: string, { status = 404, param = 'session' } = {}): StripeError {
  return new StripeError(status, `No such checkout.session: '${id}'`, { code: 'resource_missing', param });
}

/** Converts a problem of this service to an error in Stripe's shape. */
export function asStripeError(problem: Problem): StripeError {
  const { statusCode, code, cause } = problem;
  // Stripe's shape has one message, so it names all faults.
  const { errors = [] } = problem.document('', '');
  const messages = errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`);
  const reason = messages.length > 1 ? messages.join('; ') : problem.message;
  // The text of a 5xx is written for reads and writes and may not name the failure, so the title precedes it.
  const message = statusCode >= 500 ? `${catalogue[code].title}. ${reason}` : reason;
  // The SDKs retry a 5xx. Stop them here: the same query would time out again.
  const isRetryUseless = code === 'query-timeout';
  return new StripeError(statusCode, message, {
    ...(statusCode === 429 && { code: 'rate_limit' }),
    headers: { ...problem.headers, ...(isRetryUseless && { 'stripe-should-retry': 'false' }) },
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
          description: 'The type of the error: `invalid_request_error` or `api_error`.',
          examples: ['invalid_request_error'],
        }),
        code: optionalText("Stripe's error code. Absent if the error has none.", 'resource_missing'),
        doc_url: optionalText(
          "The page about the code in Stripe's documentation. Absent if the error has no code.",
          'https://docs.stripe.com/error-codes/resource-missing',
        ),
        message: Type.String({
          description: 'A message for people that says what is wrong.',
          examples: ["No such checkout.session: 'cs_test_1'"],
        }),
        param: optionalText(
          'The name of the invalid parameter. Absent if the error is not about a parameter.',
          'session',
        ),
      },
      { description: 'The error.' },
    ),
  },
  { $id: 'StripeError', description: "An error in the shape of Stripe's API (https://docs.stripe.com/api/errors)." },
);
