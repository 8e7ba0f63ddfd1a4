import { Type } from 'typebox';
import { eventListComponents } from './event-list.js';
import { nullableBoolean, nullableText } from './nullable.js';
import type { SessionWrite } from './session.js';
import { sessionStripeComponents } from './session-stripe.js';
import { lastEpochSecond } from './timestamp.js';

/** Stripe's accounts, its states of a session, and its events. */

/** Returns whether a text is the id of a Stripe account. */
export const isAccountId = (text: string): boolean => /^acct_[A-Za-z0-9]+$/.test(text);

/** Matches the id of an account, or the path to it from an organization: `acct_…/acct_…`. */
export const accountPathPattern = '^acct_[A-Za-z0-9]+(/acct_[A-Za-z0-9]+)*$';

const accountPathRule = new RegExp(accountPathPattern);

/** Returns whether a text matches {@link accountPathPattern}. */
export const isAccountPath = (text: string): boolean => accountPathRule.test(text);

/** Returns the account at the end of a path, such as the `context` of an event. Undefined if the path does not end with one. */
export function accountOfPath(path: string | null | undefined): string | undefined {
  const last = path?.split('/').at(-1);
  return last !== undefined && isAccountId(last) ? last : undefined;
}

/**
 * The order of Stripe's states of one session. The greater stamp is the newer state; the fields are compared from first to
 * last. If all are equal, the API version decides: one event can arrive in two versions, and the newer version wins.
 */
export interface Stamp {
  /** The progress of the checkout, which never decreases: 0 open, 1 complete but unpaid, 2 paid or expired. */
  readonly progress: 0 | 1 | 2;
  /** Epoch seconds: the `created` of an event, or the whole second before a snapshot was requested. */
  readonly second: number;
  /** The id of the event; `''` for a snapshot. */
  readonly eventId: string;
}

/** A state of a session, as Stripe sent it. */
export interface SessionState {
  readonly id: string;
  /** The columns that this state carries. Every other column keeps the value of the newest state that carries it. */
  readonly carried: Partial<SessionWrite>;
  /** The values for a new session. They apply to the columns that the state does not carry. */
  readonly defaults: SessionWrite;
  /** The JSON of the raw object, without `client_secret`. */
  readonly raw: string;
  readonly status: string | null;
  readonly paymentStatus: string | null;
  /** The Stripe API version of the raw object. */
  readonly apiVersion: string | null;
  readonly stamp: Stamp;
}

/** The fields of a Stripe event that the ledger keeps. */
export interface StripeEvent {
  readonly id: string;
  readonly type: string;
  readonly account: string | null;
  readonly livemode: boolean | null;
  readonly apiVersion: string | null;
  /** Epoch seconds. */
  readonly created: number;
}

/** The possible results of a delivery. */
export const outcomes = ['applied', 'stale', 'duplicate', 'deleted', 'ignored'] as const;
/** The properties that both kinds of event have. */
const eventProperties = {
  id: Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'The id of the event.',
    examples: ['evt_1MtwBwLkdIwHu7ix28a3tqPb'],
  }),
  type: Type.String({
    description: 'The type of the event. The type of a thin event begins with `v1.`.',
    examples: ['checkout.session.completed'],
  }),
  context: Type.Optional(
    nullableText(
      'The account of the event, as its id or as the path to it. Only events of an organization have it.',
      'acct_1032D82eZvKYlo2C',
    ),
  ),
  livemode: Type.Optional(nullableBoolean('Whether the event is from live mode. False means test mode.', false)),
};

const snapshotProperties = {
  account: Type.Optional(
    nullableText('The connected account of the event. Null or absent if there is none.', 'acct_1032D82eZvKYlo2C'),
  ),
  api_version: Type.Optional(nullableText('The Stripe API version of the event.', '2026-10-28.endive')),
  data: Type.Optional(
    Type.Unsafe<unknown>({
      type: 'object',
      additionalProperties: {},
      description: 'The Checkout Session, as the `object` in this object. Thin events do not have it.',
    }),
  ),
};

const thinProperties = {
  snapshot_event: Type.Optional(
    nullableText(
      'The id of the same event with its object, if Stripe sends that event too. Only thin events have it.',
      'evt_1MtwBwLkdIwHu7ix28a3tqPb',
    ),
  ),
  related_object: Type.Optional(
    Type.Unsafe<{ readonly id?: unknown; readonly type?: unknown } | null>({
      type: 'object',
      nullable: true,
      additionalProperties: {},
      description:
        'The `id`, `type` and `url` of the Checkout Session, which the service fetches from Stripe. Only thin events have it.',
    }),
  ),
};

/** The envelope of an event with its object: only the properties that this service uses. Stripe sends more. */
export const SnapshotEvent = Type.Object({
  ...eventProperties,
  ...snapshotProperties,
  created: Type.Integer({ minimum: 0, maximum: lastEpochSecond }),
});

/** The envelope of a thin event, which has the id of its object instead of the object. */
export const ThinEvent = Type.Object({
  ...eventProperties,
  ...thinProperties,
  created: Type.String({ format: 'date-time' }),
});

/** Both kinds of event in one component: many generators cannot express a union. */
const StripeEventRequest = Type.Object(
  {
    id: eventProperties.id,
    object: Type.Optional(
      Type.String({
        description: 'The type of the object: `event`, or `v2.core.event` for a thin event.',
        examples: ['event'],
      }),
    ),
    type: eventProperties.type,
    created: Type.Unsafe<unknown>({
      description:
        'The time at which Stripe created the event, in epoch seconds. A thin event has an RFC 3339 date-time.',
      examples: [1_769_860_800],
    }),
    ...{ account: snapshotProperties.account, context: eventProperties.context, livemode: eventProperties.livemode },
    ...{ api_version: snapshotProperties.api_version, data: snapshotProperties.data, ...thinProperties },
  },
  {
    $id: 'StripeEventRequest',
    description:
      'A Stripe event, either with its object (https://docs.stripe.com/api/events/object) or thin (https://docs.stripe.com/api/v2/core/events). The service accepts and ignores all other properties that Stripe sends.',
  },
);

const StripeDelivery = Type.Object(
  {
    outcome: Type.String({
      enum: [...outcomes],
      description:
        'The result of the delivery. `applied`: the service stored the state, or only those properties of an older state that the newer states lack. `stale`: the service has a newer state and stored nothing. `duplicate`: the event arrived before, and nothing changed. `deleted`: the session was deleted in this service and stays deleted. `ignored`: the event is not about a Checkout Session, has a mode that STRIPE_LIVEMODE excludes, or cannot be read.',
      examples: ['applied'],
    }),
    session: Type.Optional(
      Type.String({
        description: 'The id of the session. Absent if the event is ignored.',
        examples: ['cs_test_1'],
      }),
    ),
  },
  { $id: 'StripeDelivery', description: 'The result of a delivered event.' },
);

/** The components of everything that comes from Stripe, which the OpenAPI document publishes under their `$id`. */
export const stripeComponents = [
  StripeEventRequest,
  StripeDelivery,
  ...sessionStripeComponents,
  ...eventListComponents,
];
