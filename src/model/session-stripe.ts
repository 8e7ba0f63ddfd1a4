import { Type } from 'typebox';
import { nullableBoolean, nullableText } from './nullable.js';

/** The components with Stripe's data about a session: its payment and the raw object. */

const amount = (description: string) =>
  Type.Unsafe<number | null>({ type: 'integer', format: 'int64', nullable: true, description, examples: [2198] });

const CheckoutSessionPayment = Type.Object(
  {
    id: Type.String({ description: 'The id of the session.', examples: ['cs_test_1'] }),
    status: nullableText(
      'The status of the session: open, complete or expired. Null in Stripe API versions before 2021.',
      'complete',
    ),
    payment_status: nullableText('The payment status of the session: paid, unpaid or no_payment_required.', 'paid'),
    amount_subtotal: amount('The amount before discounts and taxes, in the smallest unit of the currency.'),
    amount_total: amount('The amount after discounts and taxes, in the smallest unit of the currency.'),
    currency: nullableText('The ISO 4217 code of the currency, in lower case.', 'usd'),
    expires_at: Type.Unsafe<string | null>({
      type: 'string',
      format: 'date-time',
      nullable: true,
      description: 'The time at which the session expires.',
      examples: ['2026-02-01T12:00:00Z'],
    }),
    livemode: nullableBoolean(
      'Whether the session is from live mode. False means test mode, null means unknown.',
      true,
    ),
    last_event_type: nullableText(
      'The type of the last event of the session, in the order in which Stripe created the events. Null if the ledger has no event of the session: none arrived, or the retention period is over.',
      'checkout.session.async_payment_succeeded',
    ),
    last_event_at: Type.Unsafe<string | null>({
      type: 'string',
      format: 'date-time',
      nullable: true,
      description: 'The time at which Stripe created the last event. Null if `last_event_type` is null.',
      examples: ['2026-01-31T12:05:00Z'],
    }),
    payment_failed: Type.Boolean({
      description:
        'Whether a delayed payment failed: the session is unpaid, and its last event is `checkout.session.async_payment_failed`. The ledger keeps that event as long as this is true.',
      examples: [false],
    }),
  },
  {
    $id: 'CheckoutSessionPayment',
    description: 'The payment of a session: whether it is paid, how much, and whether a delayed payment failed.',
  },
);

const StripeCheckoutSession = Type.Unsafe<Record<string, unknown>>({
  $id: 'StripeCheckoutSession',
  type: 'object',
  additionalProperties: {},
  description:
    'A Checkout Session as Stripe sent it, in the shape of the Stripe API version at that time (https://docs.stripe.com/api/checkout/sessions/object).',
});

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const sessionStripeComponents = [CheckoutSessionPayment, StripeCheckoutSession];
