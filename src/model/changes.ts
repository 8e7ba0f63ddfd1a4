import { Type } from 'typebox';
import type { Fault } from '../errors.js';
import { didYouMean } from './did-you-mean.js';
import { queryEntries } from './query-names.js';
import type { Parsed } from './session-request.js';

/** The change feed: its changes, its cursors and its query. `src/database/changes.ts` has the SQL. */

/** The types of change, by precedence: a change has the first type that applies. `payment_failed` is always separate. */
export const changeTypes = [
  ...(['deleted', 'paid', 'expired', 'completed', 'created', 'updated'] as const),
  'payment_failed',
] as const;

export type ChangeType = (typeof changeTypes)[number];

/** The causes of a change. */
export const changeSources = ['event', 'snapshot', 'api', 'import'] as const;

export type ChangeSource = (typeof changeSources)[number];

/** A position in the log, directly after a change. */
export interface Position {
  /** The number of that change in the log. */
  readonly seq: number;
  /**
   * The time at which that change was logged, in microseconds since 1970; 0 before the first change. After a restore from a
   * backup another change may have the same number: the stamp distinguishes the two.
   */
  readonly stamp: number;
}

/** Encodes a position as an opaque cursor for a URL. */
export function encodePosition({ seq, stamp }: Position): string {
  return Buffer.from(`${seq}.${stamp}`).toString('base64url');
}

/** Decodes a cursor. Returns undefined if {@link encodePosition} cannot have written the text. */
export function decodePosition(text: string): Position | undefined {
  const [, seq, stamp] = /^(\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? [];
  const position = { seq: Number(seq), stamp: Number(stamp) };
  return Number.isSafeInteger(position.seq) && encodePosition(position) === text ? position : undefined;
}

const defaultLimit = 100;
const maxLimit = 500;
/** Seconds. Many proxies time a request out after 60. */
const maxWait = 50;

/** The parsed query of a request for changes. */
export interface ChangeQuery {
  /** The position to read from. Undefined means the oldest change in the log, and `now` its end. */
  readonly cursor: Position | 'now' | undefined;
  readonly limit: number;
  /** Undefined means all types. */
  readonly types: readonly ChangeType[] | undefined;
  /** Seconds to wait if there is no change yet. */
  readonly wait: number;
}

const typeList = changeTypes.join(', ');

/** The query parameters, as the OpenAPI document publishes them. */
export const changeParameters = Type.Object({
  cursor: Type.Optional(
    Type.String({
      description:
        'The position to read from: the `cursor` of the last response, or the `id` of the last change. The value is opaque. `now` is the end of the log. The default is the oldest change in the log.',
    }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      description: `The maximum number of changes in a response. The default is ${defaultLimit}.`,
    }),
  ),
  types: Type.Optional(
    Type.Array(Type.String({ enum: [...changeTypes] }), {
      minItems: 1,
      style: 'form',
      explode: false,
      description: 'Returns only changes of these types, separated by commas. The default is all types.',
    }),
  ),
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxWait,
      description: 'The number of seconds to wait if there is no change yet (long poll). The default is 0.',
    }),
  ),
});

const names = Object.keys(changeParameters.properties);

/** Parses the query string of a request for changes. Reports every fault. */
export function parseChangeQuery(queryString: unknown): Parsed<ChangeQuery> {
  const query = new Map(queryEntries(queryString));
  const faults: Fault[] = [];
  const refuse = (name: string, detail: string) => void faults.push({ in: 'query', pointer: `/${name}`, detail });
  for (const name of query.keys()) {
    if (names.includes(name)) continue;
    refuse(name, `is not a parameter of this operation${didYouMean(name, names)}`);
  }
  const textOf = (name: string): string | undefined => {
    const value = query.get(name);
    if (typeof value === 'object') refuse(name, 'is given more than once');
    return typeof value === 'string' ? value : undefined;
  };
  const integer = (name: string, min: number, max: number, fallback: number): number => {
    const text = textOf(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) refuse(name, `must be an integer from ${min} to ${max}`);
    return value;
  };
  const cursor = parseCursor(textOf('cursor'), () => refuse('cursor', 'is not a cursor of the change feed'));
  const limit = integer('limit', 1, maxLimit, defaultLimit);
  const wait = integer('wait', 0, maxWait, 0);
  const types = parseTypes(query.get('types'), (type) =>
    refuse('types', `contains ${type}; each type must be one of ${typeList}`),
  );
  return faults.length > 0 ? { faults } : { value: { cursor, limit, types, wait } };
}

function parseCursor(text: string | undefined, refuse: () => void): ChangeQuery['cursor'] {
  if (text === undefined || text === 'now') return text;
  const position = decodePosition(text);
  if (!position) refuse();
  return position;
}

/**
 * Parses lists of types, separated by commas. Returns the types in one fixed order, because streams of the same types share
 * their pages; undefined means all types.
 */
function parseTypes(
  value: string | readonly string[] | undefined,
  refuse: (type: string) => void,
): ChangeQuery['types'] {
  if (value === undefined) return undefined;
  const requested = [value].flat().flatMap((text) => text.split(','));
  for (const type of requested) if (!changeTypes.includes(type as ChangeType)) refuse(JSON.stringify(type));
  const types = changeTypes.filter((type) => requested.includes(type));
  return types.length === changeTypes.length ? undefined : types;
}

/**
 * Returns the schema of an object or null. It refers to no component: with a nullable reference the Rust client of
 * openapi-generator 5.4 does not compile.
 */
const objectOrNull = (description: string) =>
  Type.Optional(Type.Unsafe<unknown>({ type: 'object', nullable: true, additionalProperties: {}, description }));

const CheckoutSessionChange = Type.Object(
  {
    id: Type.String({
      description: 'The position of this change in the log. As `cursor` it continues after this change.',
      examples: ['MTA0Mi4xNzY5ODYwODAwMDAwMDAw'],
    }),
    type: Type.String({
      enum: [...changeTypes],
      description:
        'The type of the change, the first of these that applies. `deleted`: the session was deleted. `paid`: the session became complete and paid, or complete without a payment to make. `expired`: the session expired. `completed`: the session became complete and is not paid yet. `created`: the session is new. `updated`: any other change. `payment_failed` is a separate change: a delayed payment failed.',
      examples: ['paid'],
    }),
    session_id: Type.String({ description: 'The id of the session that changed.', examples: ['cs_test_1'] }),
    at: Type.String({ format: 'date-time', description: 'The time at which the change was logged.' }),
    version: Type.Integer({
      description:
        'The version of the session after the change, which counts the changes since the session was created. If `type` is `deleted`, this is the last version of the session.',
      examples: [7],
    }),
    source: Type.String({
      enum: [...changeSources],
      description:
        'The cause of the change. `event`: a Stripe event. `snapshot`: a session that a refresh or a backfill fetched from Stripe. `api`: a request to this API, or an erasure. `import`: an import.',
      examples: ['event'],
    }),
    previous: objectOrNull("Stripe's `status` and `payment_status` before the change. Null if `type` is `created`."),
    event: objectOrNull(
      'The Stripe event that changed the session: its `id` and its `type`. The `type` is null after the event has left the ledger. The object is null if no event changed the session.',
    ),
    session: objectOrNull(
      'The current session, a `DjStripeCheckoutSession`. It may be newer than the change. Null if the session is deleted.',
    ),
    payment: objectOrNull(
      'The current payment of the session, a `CheckoutSessionPayment`. Null if the service has no Stripe object for the session, or if the session is deleted.',
    ),
  },
  { $id: 'CheckoutSessionChange', description: 'A change of a session.' },
);

const CheckoutSessionChangePage = Type.Object(
  {
    results: Type.Array(Type.Ref('CheckoutSessionChange#'), {
      description: 'The changes, oldest first. The changes of one session are in the order of their commits.',
    }),
    cursor: Type.String({
      description: 'The position after this page. Store it in the same transaction as the effects of the changes.',
      examples: ['MTA0Mi4xNzY5ODYwODAwMDAwMDAw'],
    }),
    next: Type.String({
      format: 'uri',
      description: 'The URL of the next page. It is never null, because the feed has no end.',
    }),
    more: Type.Boolean({ description: 'Whether the log already has more changes.', examples: [false] }),
  },
  { $id: 'CheckoutSessionChangePage', description: 'A page of the change feed.' },
);

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const changeComponents = [CheckoutSessionChange, CheckoutSessionChangePage];
