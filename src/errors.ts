/**
 * The catalogue of errors: every problem that the service answers with, as `application/problem+json` (RFC 9457). The
 * OpenAPI document and the table in `docs/` come from the same entries.
 */

export interface ProblemKind {
  /** HTTP status code. */
  readonly status: number;
  /** The same text each time (RFC 9457, section 3.1.3). */
  readonly title: string;
  /** The cause and the remedy, for readers of the contract. */
  readonly description: string;
  /** Seconds to wait before a retry, for problems that a retry may solve. */
  readonly retryAfter?: number;
}

export const catalogue = {
  'malformed-request': {
    status: 400,
    title: 'The request is malformed',
    description: 'The service cannot parse the URL, the headers or the JSON of the body.',
  },
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    description: 'The body, a parameter or a header breaks a rule. `errors` names each place. Nothing was changed.',
  },
  'invalid-signature': {
    status: 400,
    title: 'The signature is not valid',
    description: 'None of STRIPE_WEBHOOK_SECRETS signed this body, or the signature is too old.',
  },
  unauthorized: {
    status: 401,
    title: 'An API key is required',
    description: 'Send `Authorization: Bearer <key>`, or `Token <key>`, with one of the configured keys.',
  },
  forbidden: {
    status: 403,
    title: 'The request is not allowed',
    description:
      'The key has read access only. Or the service has no keys, and the request came from another site or through a proxy.',
  },
  'not-found': {
    status: 404,
    title: 'The path does not exist',
    description: 'The service has no resource at this path.',
  },
  'session-not-found': {
    status: 404,
    title: 'The Checkout Session does not exist',
    description: 'The mirror has no session with this id.',
  },
  'stripe-data-not-found': {
    status: 404,
    title: 'The session has no Stripe object',
    description:
      'The session was written through this API or imported without its Stripe object. Refresh the session to fetch the object from Stripe.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This path does not support the method',
    description: 'The `Allow` header lists the methods that the path supports.',
  },
  'session-exists': {
    status: 409,
    title: 'A Checkout Session with this id already exists',
    description: 'Use PUT or PATCH to change the session.',
  },
  'cursor-expired': {
    status: 410,
    title: 'The cursor is not in the change log',
    description:
      'The changes after the cursor are older than CHANGE_RETENTION_DAYS, or the database was restored from a backup. Take a new cursor with `cursor=now`, list the sessions, then follow the changes from that cursor.',
  },
  'precondition-failed': {
    status: 412,
    title: 'A precondition failed',
    description:
      'If-Match or If-None-Match does not match the stored session. Read the session again before you retry.',
  },
  'payload-too-large': {
    status: 413,
    title: 'The request is too large',
    description: 'The body is larger than BODY_LIMIT, or a value is larger than the database can store.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The media type is not supported',
    description:
      'Send `application/json` without a Content-Encoding. PATCH also accepts `application/merge-patch+json`.',
  },
  'expectation-failed': {
    status: 417,
    title: 'The expectation cannot be met',
    description: 'The service supports only `Expect: 100-continue`.',
  },
  'misdirected-request': {
    status: 421,
    title: 'The request was meant for another host',
    description: 'A service without keys answers only requests to localhost, 127.0.0.1 and [::1].',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests',
    description: 'This key, or this address without a key, sent more than RATE_LIMIT_PER_MINUTE requests in a minute.',
    retryAfter: 60,
  },
  'headers-too-large': {
    status: 431,
    title: 'The request headers are too large',
    description: 'Shorten the URL or the headers.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long to arrive',
    description: 'The headers must arrive within 10 seconds, and the whole request within REQUEST_TIMEOUT_MS.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    description: 'This is a bug in the service. The log has the details under the same `request_id`.',
  },
  'changes-not-supported': {
    status: 501,
    title: 'The database does not support the change feed',
    description: 'Triggers log the changes, and the distributed tables of Citus have no triggers.',
  },
  'stripe-unavailable': {
    status: 502,
    title: 'Stripe did not answer',
    description:
      "Stripe's API failed, refused the key, or returned another session than the requested one. The stored session is unchanged. Try again later.",
  },
  'stripe-not-configured': {
    status: 503,
    title: 'Stripe is not configured',
    description: 'This operation needs a secret or a key that is not set. `detail` names the variable.',
  },
  'database-unavailable': {
    status: 503,
    title: 'The database is not available',
    description: 'The database cannot be reached, or cannot do this now. No write was acknowledged. Try again later.',
    retryAfter: 5,
  },
  overloaded: {
    status: 503,
    title: 'The service is overloaded',
    description: 'The service refused the request before it did any work. Try again later.',
    retryAfter: 2,
  },
  'too-many-streams': {
    status: 503,
    title: 'Too many streams are open',
    description: 'This process has reached its limit of change streams. Try again later, or poll.',
    retryAfter: 5,
  },
  draining: {
    status: 503,
    title: 'This process is stopping',
    description: 'It finishes the requests in flight. Send new requests to another process.',
    retryAfter: 5,
  },
  'query-timeout': {
    status: 503,
    title: 'The query took too long',
    description:
      'Either no index serves this filter on so many rows: narrow it, or add a filter that has an index. Or another transaction held a lock on the session for too long: nothing was changed, try again later.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof catalogue;

/** One place in a request that breaks a rule. */
export interface Fault {
  /** The part of the request. */
  in: 'body' | 'query' | 'path' | 'header';
  /** RFC 6901 pointer into that part, such as `/customer_email`. Empty for the whole part. */
  pointer: string;
  /** The rule that the value breaks. */
  detail: string;
}

/** The body of an error: RFC 9457's members, `request_id` and `errors`. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  request_id: string;
  errors?: readonly Fault[];
}

interface ProblemOptions {
  /** The cause of this occurrence. Defaults to the description in the catalogue. */
  detail?: string;
  errors?: readonly Fault[];
  /** Response headers, such as Allow. */
  headers?: Readonly<Record<string, string>>;
  /** The failure behind the problem. It is logged and not sent. */
  cause?: unknown;
}

/** An error response. Any code may throw it; the error handler sends it. */
export class Problem extends Error {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #options: ProblemOptions;

  constructor(
    readonly code: ProblemCode,
    options: ProblemOptions = {},
  ) {
    super(options.detail ?? catalogue[code].description, { cause: options.cause });
    this.name = 'Problem';
    this.statusCode = catalogue[code].status;
    const { retryAfter }: ProblemKind = catalogue[code];
    this.headers = { ...(retryAfter && { 'retry-after': String(retryAfter) }), ...options.headers };
    this.#options = options;
  }

  /**
   * Returns the document to send.
   *
   * @param instance path of the request, without its query.
   */
  document(instance: string, requestId: string): ProblemDocument {
    const { errors } = this.#options;
    return {
      type: `urn:problem:${this.code}`,
      title: catalogue[this.code].title,
      status: this.statusCode,
      detail: this.message,
      instance,
      request_id: requestId,
      ...(errors && { errors }),
    };
  }
}

/** Returns the 400 problem that names each fault. */
export function invalid(errors: readonly Fault[]): Problem {
  const [first] = errors;
  const detail =
    errors.length === 1 && first
      ? `${first.pointer ? `${first.pointer.slice(1)}: ` : ''}${first.detail}`
      : `${errors.length} values are not valid. See errors.`;
  return new Problem('invalid-request', { detail, errors });
}

/** An error that the operator can fix. The service prints its message without a stack trace. */
export class OperatorError extends Error {}

/**
 * Returns the parts of an error that may be logged. Fields of database errors hold rows, parameters and statements, and
 * messages of SQLSTATE classes 22 and 23 quote values: all of them are customer data.
 */
export function loggable(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, table, constraint } = error as { code?: unknown; table?: unknown; constraint?: unknown };
  const quotesValues = typeof code === 'string' && /^2[23]/.test(code);
  return {
    type: error.name,
    message: quotesValues ? 'removed: it quotes values' : error.message,
    code,
    table,
    constraint,
    stack: error.stack?.match(/^ {4}at .*$/gm)?.join('\n'),
    ...(error.cause instanceof Error && { cause: loggable(error.cause) }),
  };
}

/** Serializers for pino. They reduce `err` to the parts that {@link loggable} returns. */
export const logSerializers = { err: (error: unknown) => (error instanceof Error ? loggable(error) : error) };
