/**
 * The catalogue of errors: every problem the service answers with, once. RFC 9457 documents,
 * `application/problem+json`; the OpenAPI document and the README are made from the same entries.
 */

export interface ProblemKind {
  /** HTTP status code. */
  readonly status: number;
  /** The same for every occurrence, as RFC 9457 asks. */
  readonly title: string;
  /** What brings it about and what to do, for the reader of the contract. */
  readonly description: string;
  /** Seconds after which to try again, where that may help. */
  readonly retryAfter?: number;
}

export const catalogue = {
  'malformed-request': {
    status: 400,
    title: 'The request cannot be read',
    description: 'The URL, the headers or the JSON of the body are malformed.',
  },
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    description: 'A body, parameter or header breaks a rule; `errors` names each place. Nothing was changed.',
  },
  'invalid-signature': {
    status: 400,
    title: "The signature is not Stripe's",
    description: 'The body was not signed with one of STRIPE_WEBHOOK_SECRETS, or too long ago.',
  },
  unauthorized: {
    status: 401,
    title: 'An API key is needed',
    description: 'Send `Authorization: Bearer <key>`, or `Token <key>`, with one of the configured keys.',
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    description:
      'The key only reads, or the request came from another site or through a proxy to a service without keys.',
  },
  'not-found': {
    status: 404,
    title: 'There is nothing at this path',
    description: 'No resource has this path.',
  },
  'session-not-found': {
    status: 404,
    title: 'There is no such Checkout Session',
    description: 'No session with this id is in the mirror.',
  },
  'stripe-data-not-found': {
    status: 404,
    title: 'Nothing came from Stripe for this session',
    description:
      'The session was written through this API, or imported without its Stripe object. Refresh it to fetch the object from Stripe.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'This path does not take the method',
    description: 'The `Allow` header lists the methods it takes.',
  },
  'session-exists': {
    status: 409,
    title: 'A Checkout Session with this id exists',
    description: 'Use PUT or PATCH to change it.',
  },
  'cursor-expired': {
    status: 410,
    title: 'The log of changes does not have this place',
    description:
      'The changes after the cursor were removed after CHANGE_RETENTION_DAYS, or the database was restored from a backup. List the sessions, then follow from a new cursor, `now`.',
  },
  'precondition-failed': {
    status: 412,
    title: 'A precondition of the request does not hold',
    description: 'If-Match or If-None-Match does not agree with the stored session. Read it again and decide anew.',
  },
  'payload-too-large': {
    status: 413,
    title: 'The request is too large',
    description: 'The body is over BODY_LIMIT, or more than the database can hold in one value.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The media type is not supported',
    description:
      'Send `application/json`, without a Content-Encoding; PATCH also takes `application/merge-patch+json`.',
  },
  'expectation-failed': {
    status: 417,
    title: 'The expectation cannot be met',
    description: 'Of the header `Expect` the service knows `100-continue` only.',
  },
  'misdirected-request': {
    status: 421,
    title: 'The request was meant for another host',
    description: 'Without keys the service answers to localhost, 127.0.0.1 and [::1] only.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests',
    description: 'More than RATE_LIMIT_PER_MINUTE with this key, or without one from this address.',
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
    description: 'Send the whole request without pausing.',
  },
  internal: {
    status: 500,
    title: 'The service failed',
    description: 'A fault of ours; the log has the details under the same `request_id`.',
  },
  'changes-not-supported': {
    status: 501,
    title: 'There is no change feed on this database',
    description: 'Citus distributes the tables, and distributed tables have no triggers, which log the changes.',
  },
  'stripe-unavailable': {
    status: 502,
    title: 'Stripe did not answer',
    description:
      "Stripe's API failed or refused the key, or what answered was not the session that was asked for. What is stored stands; try again later.",
  },
  'stripe-not-configured': {
    status: 503,
    title: 'Stripe is not configured',
    description: 'The service lacks the secret or key that this needs; the detail names the variable.',
  },
  'database-unavailable': {
    status: 503,
    title: 'The database is not available',
    description: 'Nothing was acknowledged; try again later.',
    retryAfter: 5,
  },
  overloaded: {
    status: 503,
    title: 'The service has too much to do',
    description: 'The request was turned away before anything was done; try again later.',
    retryAfter: 2,
  },
  'too-many-streams': {
    status: 503,
    title: 'Too many streams are open',
    description: 'This process serves as many streams of changes as it may; try again later, or poll.',
    retryAfter: 5,
  },
  draining: {
    status: 503,
    title: 'This process is stopping',
    description: 'It finishes what it has begun; send requests to another one.',
    retryAfter: 5,
  },
  'query-timeout': {
    status: 503,
    title: 'The query took too long',
    description:
      'No index serves this filter on so many rows: add one that is indexed, or narrow it. Or another transaction has locked the session for too long: nothing was changed, try again later.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof catalogue;

/** One place in a request that breaks a rule. */
export interface Fault {
  /** The part of the request. */
  in: 'body' | 'query' | 'path' | 'header';
  /** RFC 6901 pointer into that part, `/customer_email`; empty for the whole of it. */
  pointer: string;
  /** What is wrong there. */
  detail: string;
}

/** The document that a client receives: RFC 9457, with `request_id` and `errors` added. */
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
  /** What happened this time; the description of the catalogue when absent. */
  detail?: string;
  errors?: readonly Fault[];
  /** Response headers that go with it, such as Allow. */
  headers?: Readonly<Record<string, string>>;
  /** The failure behind it, for the log alone. */
  cause?: unknown;
}

/** An answer other than success. Thrown anywhere, written by the one error handler. */
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

  /** The document to send. `instance` is the request's path without its query. */
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

/** A 400 that names each place. */
export function invalid(errors: readonly Fault[]): Problem {
  const [first] = errors;
  const detail =
    errors.length === 1 && first
      ? `${first.pointer ? `${first.pointer.slice(1)}: ` : ''}${first.detail}`
      : `${errors.length} places are not valid; see errors.`;
  return new Problem('invalid-request', { detail, errors });
}

/** A fault that the person who starts the service can mend: its message is all there is to say. */
export class OperatorError extends Error {}

/**
 * A failure as the log may have it: the fields of database errors that hold rows, parameters or statements, and the
 * messages that quote values (SQLSTATE classes 22 and 23), are customers' data.
 */
export function loggable(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, table, constraint } = error as { code?: unknown; table?: unknown; constraint?: unknown };
  const quotesValues = typeof code === 'string' && /^2[23]/.test(code);
  return {
    type: error.name,
    message: quotesValues ? 'left out: it quotes values' : error.message,
    code,
    table,
    constraint,
    stack: error.stack?.match(/^ {4}at .*$/gm)?.join('\n'),
    ...(error.cause instanceof Error && { cause: loggable(error.cause) }),
  };
}

/** How a logger of pino's writes `err`: never the error itself, which holds more than {@link loggable} lets through. */
export const logSerializers = { err: (error: unknown) => (error instanceof Error ? loggable(error) : error) };
