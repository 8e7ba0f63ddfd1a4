import { Type } from 'typebox';
import type { ListColumn } from './filters.js';
import { defineList, pageOf } from './list.js';
import type { SessionWrite } from './session.js';

/** What is known of Stripe's states of a session, whatever path they came by. */

/** Whether a text is the id of a Stripe account. */
export const isAccountId = (text: string): boolean => /^acct_[A-Za-z0-9]+$/.test(text);

/** The pattern of what names an account: its id, or the path to it from an organization, `acct_…/acct_…`. */
export const accountPathPattern = '^acct_[A-Za-z0-9]+(/acct_[A-Za-z0-9]+)*$';

const accountPathRule = new RegExp(accountPathPattern);

export const isAccountPath = (text: string): boolean => accountPathRule.test(text);

/** Returns the account at the end of a path, or of an event's `context`, which is one. */
export function accountOfPath(path: string | null | undefined): string | undefined {
  const last = path?.split('/').at(-1);
  return last !== undefined && isAccountId(last) ? last : undefined;
}

/**
 * Orders Stripe's states of one session: compared from left to right. The API version of the state comes last: of one
 * event in two versions, the newer version is the newer state.
 */
export interface Stamp {
  /** How far the checkout has come; it never goes back: 0 open, 1 complete but unpaid, 2 paid or expired. */
  readonly progress: 0 | 1 | 2;
  /** Epoch seconds: of an event its `created`, of a snapshot the whole second before it was asked for. */
  readonly second: number;
  /** The event's id; `''` for a snapshot. */
  readonly eventId: string;
}

/** One state of a session as Stripe sent it. */
export interface SessionState {
  readonly id: string;
  /** The columns that this state carries; each of the others keeps the value of the newest state that carries it. */
  readonly carried: Partial<SessionWrite>;
  /** What a session that is new has in the columns that are not carried. */
  readonly defaults: SessionWrite;
  /** The raw object without `client_secret`, as JSON. */
  readonly raw: string;
  readonly status: string | null;
  readonly paymentStatus: string | null;
  /** The Stripe API version that the raw object is shaped by. */
  readonly apiVersion: string | null;
  readonly stamp: Stamp;
}

/** An event of Stripe's that carries a state: what the ledger keeps of it besides. */
export interface StripeEvent {
  readonly id: string;
  readonly type: string;
  readonly account: string | null;
  readonly livemode: boolean | null;
  readonly apiVersion: string | null;
  /** Epoch seconds. */
  readonly created: number;
}

/** What the mirror does with an event. */
export const outcomes = ['applied', 'stale', 'duplicate', 'deleted', 'ignored'] as const;

const nullableText = (description: string, example: string) =>
  Type.Unsafe<string | null>({ type: 'string', nullable: true, description, examples: [example] });

const nullableBoolean = (description: string, example: boolean) =>
  Type.Unsafe<boolean | null>({ type: 'boolean', nullable: true, description, examples: [example] });

/** Epoch seconds of the last second that RFC 3339 can write: 9999-12-31T23:59:59Z. */
const lastSecond = 253_402_300_799;

/** Properties of both kinds of event. */
const eventProperties = {
  id: Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'The id of the event.',
    examples: ['evt_1MtwBwLkdIwHu7ix28a3tqPb'],
  }),
  type: Type.String({
    description: 'Its type. Those of thin events begin with `v1.`.',
    examples: ['checkout.session.completed'],
  }),
  context: Type.Optional(
    nullableText(
      'The account that it is of, in events of an organization: its id, or the path to it.',
      'acct_1032D82eZvKYlo2C',
    ),
  ),
  livemode: Type.Optional(nullableBoolean('Whether it is live, or a test.', false)),
};

const snapshotProperties = {
  account: Type.Optional(nullableText('The connected account that it is of.', 'acct_1032D82eZvKYlo2C')),
  api_version: Type.Optional(nullableText('The API version that it is shaped by.', '2026-10-28.endive')),
  data: Type.Optional(
    Type.Unsafe<unknown>({
      type: 'object',
      additionalProperties: {},
      description: 'Its object: the Checkout Session. Thin events have none.',
    }),
  ),
};

const thinProperties = {
  snapshot_event: Type.Optional(
    nullableText(
      'Of a thin event: the id of the event with the object, where Stripe sends that too.',
      'evt_1MtwBwLkdIwHu7ix28a3tqPb',
    ),
  ),
  related_object: Type.Optional(
    Type.Unsafe<{ readonly id?: unknown; readonly type?: unknown } | null>({
      type: 'object',
      nullable: true,
      additionalProperties: {},
      description: 'Of a thin event: the `id`, `type` and `url` of the Checkout Session, which is fetched from Stripe.',
    }),
  ),
};

/** The envelope of an event with its object, as far as it matters here. What it has beyond is Stripe's affair. */
export const SnapshotEvent = Type.Object({
  ...eventProperties,
  ...snapshotProperties,
  created: Type.Integer({ minimum: 0, maximum: lastSecond }),
});

/** The envelope of a thin event, which names its object. */
export const ThinEvent = Type.Object({
  ...eventProperties,
  ...thinProperties,
  created: Type.String({ format: 'date-time' }),
});

/** Publishes both kinds as one component: many generators cannot express a union. */
const StripeEventRequest = Type.Object(
  {
    id: eventProperties.id,
    object: Type.Optional(
      Type.String({ description: '`event`, or `v2.core.event` of a thin event.', examples: ['event'] }),
    ),
    type: eventProperties.type,
    created: Type.Unsafe<unknown>({
      description: 'When it was created: in epoch seconds, of a thin event an RFC 3339 date-time.',
      examples: [1_769_860_800],
    }),
    ...{ account: snapshotProperties.account, context: eventProperties.context, livemode: eventProperties.livemode },
    ...{ api_version: snapshotProperties.api_version, data: snapshotProperties.data, ...thinProperties },
  },
  {
    $id: 'StripeEventRequest',
    description:
      'An event as Stripe sends it, with whatever else it holds: with its object (https://docs.stripe.com/api/events/object), or thin (https://docs.stripe.com/api/v2/core/events).',
  },
);

const StripeDelivery = Type.Object(
  {
    outcome: Type.String({
      enum: [...outcomes],
      description:
        '`applied`: stored, or of an older state the properties that newer states lack. `stale`: a newer state is stored. `duplicate`: delivered before, and nothing changed. `deleted`: the session was deleted here and stays so. `ignored`: not of a Checkout Session, of the mode that is not taken in, or no event that can be read.',
      examples: ['applied'],
    }),
    session: Type.Optional(Type.String({ description: 'The id of the session.', examples: ['cs_test_1'] })),
  },
  { $id: 'StripeDelivery', description: 'What was done with an event.' },
);

const amount = (description: string) =>
  Type.Unsafe<number | null>({ type: 'integer', format: 'int64', nullable: true, description, examples: [2198] });

const CheckoutSessionPayment = Type.Object(
  {
    id: Type.String({ description: 'The id of the session.', examples: ['cs_test_1'] }),
    status: nullableText('open, complete or expired; null in API versions before 2021.', 'complete'),
    payment_status: nullableText('paid, unpaid or no_payment_required.', 'paid'),
    amount_subtotal: amount('Before discounts and taxes, in the smallest unit of the currency.'),
    amount_total: amount('After discounts and taxes, in the smallest unit of the currency.'),
    currency: nullableText('ISO 4217, in lower case.', 'usd'),
    expires_at: Type.Unsafe<string | null>({
      type: 'string',
      format: 'date-time',
      nullable: true,
      description: 'When the session expires.',
      examples: ['2026-02-01T12:00:00Z'],
    }),
    livemode: nullableBoolean('Whether it is live, or a test; null when unknown.', true),
    last_event_type: nullableText(
      "The type of the session's last event, by the time at which Stripe created it; null where the ledger has none: none arrived, or it was kept for long enough.",
      'checkout.session.async_payment_succeeded',
    ),
    last_event_at: Type.Unsafe<string | null>({
      type: 'string',
      format: 'date-time',
      nullable: true,
      description: 'When Stripe created the last event.',
      examples: ['2026-01-31T12:05:00Z'],
    }),
    payment_failed: Type.Boolean({
      description:
        'Whether a delayed payment failed: the session is unpaid and its last event is `checkout.session.async_payment_failed`. The ledger keeps such an event for as long as this holds.',
      examples: [false],
    }),
  },
  { $id: 'CheckoutSessionPayment', description: 'Is it paid, and how much? Did a delayed payment fail?' },
);

const StripeCheckoutSession = Type.Unsafe<Record<string, unknown>>({
  $id: 'StripeCheckoutSession',
  type: 'object',
  additionalProperties: {},
  description:
    'A Checkout Session as Stripe has it, in the shape of the API version that it was sent in (https://docs.stripe.com/api/checkout/sessions/object).',
});

/** The columns of the ledger, which is filtered by each of them. */
export const eventColumns: readonly ListColumn[] = [
  { name: 'id', kind: 'text', nullable: false },
  { name: 'type', kind: 'text', nullable: false },
  { name: 'account', kind: 'text', nullable: true },
  { name: 'livemode', kind: 'boolean', nullable: true },
  { name: 'api_version', kind: 'text', nullable: true },
  { name: 'created', kind: 'timestamp', nullable: false },
  { name: 'received_at', kind: 'timestamp', nullable: false },
  { name: 'session_id', kind: 'text', nullable: false },
  { name: 'outcome', kind: 'text', nullable: false, values: ['applied', 'stale', 'deleted'] },
];

/** The list of the ledger. */
export const eventList = defineList({
  columns: eventColumns,
  orderings: ['received_at'],
  defaultOrdering: '-received_at',
  hasMetadata: false,
  includes: [],
});

const LedgerEvent = Type.Object(
  {
    id: Type.String({ description: "Stripe's id of the event.", examples: ['evt_1MtwBwLkdIwHu7ix28a3tqPb'] }),
    type: Type.String({ description: 'Its type.', examples: ['checkout.session.completed'] }),
    account: nullableText('The connected account that it is of.', 'acct_1032D82eZvKYlo2C'),
    livemode: nullableBoolean('Whether it is live, or a test.', true),
    api_version: nullableText('The API version that it is shaped by.', '2026-10-28.endive'),
    created: Type.String({ format: 'date-time', description: 'When Stripe created it.' }),
    received_at: Type.String({ format: 'date-time', description: 'When it was committed here.' }),
    session_id: Type.String({ description: 'The session that it carries.', examples: ['cs_test_1'] }),
    outcome: Type.String({
      enum: ['applied', 'stale', 'deleted'],
      description: 'What it did: see the webhook.',
      examples: ['applied'],
    }),
  },
  { $id: 'StripeEvent', description: "One of Stripe's events that arrived." },
);

const StripeEventPage = pageOf(LedgerEvent, 'PaginatedStripeEventList', 'A page of events.');

/** What the OpenAPI document publishes of this file, by `$id`. */
export const stripeComponents = [
  StripeEventRequest,
  StripeDelivery,
  CheckoutSessionPayment,
  StripeCheckoutSession,
  LedgerEvent,
  StripeEventPage,
];
