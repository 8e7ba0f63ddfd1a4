/** Sample events for `npm run try-webhook`, shaped like those that Stripe sends in API version 2026-10-28.endive. */

const minute = 60;
const day = 86_400;

type Fields = Readonly<Record<string, unknown>>;

export interface SampleEvent {
  readonly id: string;
  readonly object: 'event';
  readonly type: string;
  /** Epoch seconds. */
  readonly created: number;
  readonly livemode: false;
  readonly api_version: string;
  readonly data: { readonly object: Fields & { readonly id: string } };
}

/**
 * Returns one event of each type that carries a session, each with a session of its own.
 *
 * @param now epoch seconds: the events are a minute old, so that lists and charts show them as recent
 * @param suffix appended to every id, to get other events than before
 */
export function sampleEvents(now: number, suffix = ''): SampleEvent[] {
  return [
    event('completed', session('paid', now, suffix, paidByCard)),
    event('async_payment_succeeded', session('delayed', now, suffix, paidByDebit)),
    event('async_payment_failed', session('failed', now, suffix, debitFailed)),
    event('expired', session('expired', now, suffix, abandoned)),
  ];

  function event(name: string, object: SampleEvent['data']['object']): SampleEvent {
    return {
      id: `evt_sample_${name}${suffix}`,
      object: 'event',
      type: `checkout.session.${name}`,
      created: now - minute,
      livemode: false,
      api_version: '2026-10-28.endive',
      data: { object },
    };
  }
}

const paidByCard: Fields = {
  client_reference_id: 'cart-1042',
  customer: 'cus_sample_jenny',
  customer_details: detailsOf('jenny.rosen@example.com', 'Jenny Rosen'),
  metadata: { order: '6735' },
  payment_intent: 'pi_sample_card',
  payment_method_types: ['card', 'link'],
};

const paidByDebit: Fields = {
  amount_subtotal: 12_900,
  amount_total: 12_900,
  currency: 'eur',
  customer: 'cus_sample_jonas',
  customer_details: detailsOf('jonas.becker@example.com', 'Jonas Becker'),
  locale: 'de',
  metadata: { order: '6736' },
  payment_intent: 'pi_sample_debit',
  payment_method_types: ['sepa_debit'],
  total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
};

const debitFailed: Fields = {
  customer_details: detailsOf('amara.okafor@example.com', 'Amara Okafor'),
  customer_email: 'amara.okafor@example.com',
  metadata: { order: '6737' },
  payment_intent: 'pi_sample_failed',
  payment_method_types: ['us_bank_account'],
  payment_status: 'unpaid',
};

const abandoned: Fields = {
  customer_email: 'li.wei@example.com',
  metadata: { order: '6738' },
  payment_status: 'unpaid',
  status: 'expired',
};

function detailsOf(email: string, name: string): Fields {
  return { address: null, business_name: null, email, individual_name: null, name, phone: null, tax_exempt: 'none' };
}

/** Returns a session that is complete and paid, but for the given fields. */
function session(name: string, now: number, suffix: string, fields: Fields) {
  const created = now - (fields.status === 'expired' ? day : 0) - 5 * minute;
  return {
    id: `cs_test_sample_${name}${suffix}`,
    object: 'checkout.session',
    adaptive_pricing: { enabled: true },
    allow_promotion_codes: null,
    amount_subtotal: 2000,
    amount_total: 2198,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    cancel_url: 'https://shop.example.com/cart',
    client_reference_id: null,
    client_secret: null,
    consent: null,
    created,
    currency: 'usd',
    custom_fields: [],
    customer: null,
    customer_account: null,
    customer_creation: 'if_required',
    customer_details: null,
    customer_email: null,
    discounts: [],
    expires_at: created + day,
    invoice: null,
    livemode: false,
    locale: null,
    metadata: {},
    mode: 'payment',
    payment_intent: null,
    payment_link: null,
    payment_method_collection: 'if_required',
    payment_method_types: ['card'],
    payment_status: 'paid',
    phone_number_collection: { enabled: false },
    recovered_from: null,
    setup_intent: null,
    shipping_options: [],
    status: 'complete',
    submit_type: null,
    subscription: null,
    success_url: 'https://shop.example.com/thanks?session_id={CHECKOUT_SESSION_ID}',
    total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 198 },
    ui_mode: 'hosted',
    url: null,
    ...fields,
  };
}
