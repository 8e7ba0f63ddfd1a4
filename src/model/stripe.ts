import { Type } from 'typebox';
import type { SessionWrite } from './session.js';

/** What is known of Stripe's states of a session, whatever path they came by. */

/** What orders Stripe's states of one session: compared from left to right. */
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
  /** The columns that this state carries; the others stay as they are. */
  readonly carried: Partial<SessionWrite>;
  /** What a session that is new has in the columns that are not carried. */
  readonly defaults: SessionWrite;
  /** The raw object without `client_secret`. */
  readonly raw: Readonly<Record<string, unknown>>;
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

const StripeEventRequest = Type.Object(
  {
    id: Type.String({ description: 'The id of the event.', examples: ['evt_1MtwBwLkdIwHu7ix28a3tqPb'] }),
    type: Type.String({ description: 'Its type.', examples: ['checkout.session.completed'] }),
    created: Type.Integer({ description: 'When it was created, in epoch seconds.', examples: [1_769_860_800] }),
    data: Type.Optional(
      Type.Unsafe<unknown>({
        type: 'object',
        additionalProperties: {},
        description: 'Its object: the Checkout Session.',
      }),
    ),
  },
  {
    $id: 'StripeEventRequest',
    description:
      'An event as Stripe sends it, with whatever else it holds (https://docs.stripe.com/api/events/object).',
  },
);

const StripeWebhookResult = Type.Object(
  {
    outcome: Type.String({
      enum: [...outcomes],
      description:
        '`applied`: stored. `stale`: a newer state is stored. `duplicate`: delivered before. `deleted`: the session was deleted here and stays so. `ignored`: not of a Checkout Session, or of the mode that is not taken in.',
      examples: ['applied'],
    }),
    session: Type.Optional(Type.String({ description: 'The id of the session.', examples: ['cs_test_1'] })),
  },
  { $id: 'StripeWebhookResult', description: 'What was done with an event.' },
);

/** What the OpenAPI document publishes of this file, by `$id`. */
export const stripeComponents = [StripeEventRequest, StripeWebhookResult];
