import { Type } from 'typebox';
import type { Fault } from '../errors.js';
import { didYouMean } from './did-you-mean.js';
import { queryEntries } from './query-names.js';
import type { Parsed } from './session-request.js';

/** The change feed: what a change looks like, where a reader is, and what it may ask for. Its SQL is the database's affair. */

/** The types of change, in the order in which the first that applies is taken. */
export const changeTypes = [
  ...(['deleted', 'paid', 'expired', 'completed', 'created', 'updated'] as const),
  'payment_failed',
] as const;

export type ChangeType = (typeof changeTypes)[number];

/** What brought a change about. */
export const changeSources = ['event', 'snapshot', 'api', 'import'] as const;

export type ChangeSource = (typeof changeSources)[number];

/** A place in the log: after the change with this number. */
export interface Position {
  readonly seq: number;
  /**
   * When that change was logged, in microseconds since 1970; 0 where there was none. Another change may have its number
   * once a backup was restored: the stamp tells them apart.
   */
  readonly stamp: number;
}

export function encodePosition({ seq, stamp }: Position): string {
  return Buffer.from(`${seq}.${stamp}`).toString('base64url');
}

/** Returns the place that a text names, or undefined when {@link encodePosition} has not written it. */
export function decodePosition(text: string): Position | undefined {
  const [, seq, stamp] = /^(\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? [];
  const position = { seq: Number(seq), stamp: Number(stamp) };
  return Number.isSafeInteger(position.seq) && encodePosition(position) === text ? position : undefined;
}

const defaultLimit = 100;
const maxLimit = 500;
/** Seconds. Proxies give up on a request after 60. */
const maxWait = 50;

/** What a reader asks for. */
export interface ChangeQuery {
  /** After which change; from the oldest that is kept when undefined. */
  readonly cursor: Position | 'now' | undefined;
  readonly limit: number;
  /** All types when undefined. */
  readonly types: readonly ChangeType[] | undefined;
  /** Seconds to wait for a change where there is none. */
  readonly wait: number;
}

const typeList = changeTypes.join(', ');

/** The parameters, as the OpenAPI document publishes them. */
export const changeParameters = Type.Object({
  cursor: Type.Optional(
    Type.String({
      description:
        'The place to read from: `cursor` of the last answer or `id` of the last change, opaque. `now` is the end of the log. Without it the answer begins with the oldest change that is kept.',
    }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      description: `How many changes an answer holds at most; ${defaultLimit} when absent.`,
    }),
  ),
  types: Type.Optional(
    Type.Array(Type.String({ enum: [...changeTypes] }), {
      minItems: 1,
      style: 'form',
      explode: false,
      description: 'Only changes of these types, separated by commas; all when absent.',
    }),
  ),
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxWait,
      description: 'Seconds to wait for a change where there is none yet (long poll); 0 when absent.',
    }),
  ),
});

const names = Object.keys(changeParameters.properties);

/** Reads the query of a request as the HTTP layer parsed it. Reports every fault. */
export function parseChangeQuery(parsed: unknown): Parsed<ChangeQuery> {
  const query = new Map(queryEntries(parsed));
  const faults: Fault[] = [];
  const refuse = (name: string, detail: string) => void faults.push({ in: 'query', pointer: `/${name}`, detail });
  for (const name of query.keys()) {
    if (names.includes(name)) continue;
    refuse(name, `there is no such parameter${didYouMean(name, names)}`);
  }
  const textOf = (name: string): string | undefined => {
    const value = query.get(name);
    if (typeof value === 'object') refuse(name, 'must be given once');
    return typeof value === 'string' ? value : undefined;
  };
  const integer = (name: string, lowest: number, highest: number, otherwise: number): number => {
    const text = textOf(name);
    if (text === undefined) return otherwise;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= lowest && value <= highest)) refuse(name, `must be a whole number from ${lowest} to ${highest}`);
    return value;
  };
  const cursor = parseCursor(textOf('cursor'), () => refuse('cursor', 'is no cursor of this log'));
  const limit = integer('limit', 1, maxLimit, defaultLimit);
  const wait = integer('wait', 0, maxWait, 0);
  const types = parseTypes(query.get('types'), (type) => refuse('types', `has no type ${type}: ${typeList}`));
  return faults.length > 0 ? { faults } : { value: { cursor, limit, types, wait } };
}

function parseCursor(text: string | undefined, refuse: () => void): ChangeQuery['cursor'] {
  if (text === undefined || text === 'now') return text;
  const position = decodePosition(text);
  if (!position) refuse();
  return position;
}

/** The types of a list with commas, which may be repeated; in one order, as streams of the same types share pages. */
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
 * An object or null. Not a reference to a component: a nullable one makes openapi-generator 5.4's Rust client fail to compile.
 */
const objectOrNull = (description: string) =>
  Type.Optional(Type.Unsafe<unknown>({ type: 'object', nullable: true, additionalProperties: {}, description }));

const CheckoutSessionChange = Type.Object(
  {
    id: Type.String({
      description: 'The place of this change in the log: a `cursor` to go on after it.',
      examples: ['MTA0Mi4xNzY5ODYwODAwMDAwMDAw'],
    }),
    type: Type.String({
      enum: [...changeTypes],
      description:
        'What happened, the first that applies: `deleted`; `paid`, the session is complete and paid, or needs no payment, and was not before; `expired`; `completed`, complete and still unpaid; `created`; `updated`, anything else. `payment_failed` is a change of its own: a delayed payment failed.',
      examples: ['paid'],
    }),
    session_id: Type.String({ description: 'The session that changed.', examples: ['cs_test_1'] }),
    at: Type.String({ format: 'date-time', description: 'When the change was logged.' }),
    version: Type.Integer({
      description: 'How often the session had changed by then; of a deleted session its last.',
      examples: [7],
    }),
    source: Type.String({
      enum: [...changeSources],
      description:
        'What brought it about: `event`, an event of Stripe; `snapshot`, the session as Stripe answered a refresh or a backfill; `api`, a request to this API or an erasure; `import`.',
      examples: ['event'],
    }),
    previous: objectOrNull("Stripe's `status` and `payment_status` before the change; null for `created`."),
    event: objectOrNull(
      'The event of Stripe that changed the session: its `id`, and its `type`, which is null once the ledger does not have it any more. Null where no event did.',
    ),
    session: objectOrNull(
      'The session as it is now, a `DjStripeCheckoutSession`, which may be newer than the change; null once it is deleted.',
    ),
    payment: objectOrNull(
      'Its payment as it is now, a `CheckoutSessionPayment`; null where nothing came from Stripe, or once it is deleted.',
    ),
  },
  { $id: 'CheckoutSessionChange', description: 'A change of a session.' },
);

const CheckoutSessionChangePage = Type.Object(
  {
    results: Type.Array(Type.Ref('CheckoutSessionChange#'), {
      description: 'The changes, the oldest first; those of one session in the order in which they were committed.',
    }),
    cursor: Type.String({
      description: 'The place after this answer, to be stored with the effect of the changes.',
      examples: ['MTA0Mi4xNzY5ODYwODAwMDAwMDAw'],
    }),
    next: Type.String({ format: 'uri', description: 'The URL of the next answer. There always is one.' }),
    more: Type.Boolean({ description: 'Whether more changes are there already.', examples: [false] }),
  },
  { $id: 'CheckoutSessionChangePage', description: 'A part of the change feed.' },
);

/** What the OpenAPI document publishes of this file, by `$id`. */
export const changeComponents = [CheckoutSessionChange, CheckoutSessionChangePage];
