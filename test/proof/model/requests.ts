import fc from 'fast-check';
import type { Fields, Json, RawState } from './mirror.js';

/** Random requests that draw from few values, so that they interact. */

export const ids = ['cs_test_a', 'cs_test_B', 'cs_live_c', 'ü %/?#&+', 'cs_😀'];
const id = fc.constantFrom(...ids);

const text = fc.constantFrom('', 'x', 'X', 'a,b', '%', '_', '\\', "O'Reilly", 'Ünïcode', 'https://example.com/x?y=z');
const nullable = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: null });
const optionalText = nullable(text);

const times = [
  '2026-01-01T00:00:00Z',
  '2025-12-31T23:00:00-01:00',
  '2026-01-01T00:00:00.000001Z',
  '1999-06-01t12:00:00.50z',
];
const time = fc.constantFrom(...times);

const leaf: fc.Arbitrary<Json> = fc.constantFrom('1', 'x', 1, 1.5, true, null, '', ['card', 1]);
const key = fc.constantFrom('a', 'b', 'order id', '__proto__x', 'toString');
const map = (depth: number): fc.Arbitrary<Fields> =>
  fc.dictionary(key, depth === 0 ? leaf : fc.oneof({ weight: 3, arbitrary: leaf }, map(depth - 1)), { maxKeys: 3 });

const methods = ['card', 'link', 'sepa_debit'];
const methodTypes: fc.Arbitrary<Json> = fc.oneof(
  fc.subarray(methods),
  fc.constant({}),
  fc.dictionary(fc.constantFrom('0', '1'), fc.constantFrom(...methods)),
);

const enums = {
  billing_address_collection: fc.constantFrom('auto', 'required'),
  mode: fc.constantFrom('payment', 'setup', 'subscription'),
  submit_type: fc.constantFrom('auto', 'book', 'donate', 'pay'),
};

const optionalFields = {
  ...{ livemode: nullable(fc.boolean()), created: nullable(time), metadata: nullable(map(1)) },
  ...{ description: optionalText, cancel_url: optionalText, client_reference_id: optionalText },
  ...{ customer_email: optionalText, locale: optionalText, success_url: optionalText },
  ...{ display_items: nullable(map(1)), djstripe_owner_account: fc.constantFrom(null, 'acct_1') },
  ...{ customer: optionalText, payment_intent: optionalText, subscription: optionalText },
};

const requiredFields = { ...enums, payment_method_types: methodTypes };

const body = fc.record(
  { ...requiredFields, ...optionalFields },
  { requiredKeys: Object.keys(requiredFields) as never },
);
const patch = fc.record({ ...requiredFields, ...optionalFields }, { requiredKeys: [] });

/** Fields that make a body invalid. */
const fault: fc.Arbitrary<Fields> = fc.constantFrom<Fields>(
  { mode: 'gift' },
  { submit_type: null },
  { payment_method_types: null },
  { unknown: 1 },
  { created: '2026-02-30T00:00:00Z' },
  { customer: 'a\u0000b' },
  { id: 'another' },
  { metadata: ['a'] },
);

/** Symbolic tags, resolved when the request is sent: of the stored state, an earlier state, or no state. */
export type Tag = 'current' | 'weak' | 'old' | 'foreign';
const tags = fc.oneof(
  fc.constant('*' as const),
  fc.uniqueArray(fc.constantFrom<Tag>('current', 'weak', 'old', 'foreign'), { minLength: 1, maxLength: 3 }),
);
const preconditions = fc.record({ match: tags, noneMatch: tags }, { requiredKeys: [] });
const sometimes = <Value>(arbitrary: fc.Arbitrary<Value>, weight: number) =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const raw = fc.record(
  {
    id,
    object: fc.constant('checkout.session'),
    status: fc.constantFrom('open', 'complete', 'expired', null),
    payment_status: fc.constantFrom('paid', 'unpaid', 'no_payment_required'),
    amount_total: fc.constantFrom(null, 0, 2198, 4_294_967_296),
    currency: fc.constantFrom(null, 'usd'),
    expires_at: fc.constantFrom(1_769_947_200, null),
    created: fc.constantFrom(1_769_860_800, 0),
    livemode: fc.boolean(),
    mode: enums.mode,
    billing_address_collection: enums.billing_address_collection,
    submit_type: fc.constantFrom(null, 'pay', 'subscribe'),
    customer: fc.constantFrom<Json[]>(null, 'cus_1', { id: 'cus_2', object: 'customer' }),
    customer_email: fc.oneof(optionalText, fc.constant('Guest@example.com')),
    customer_details: fc.constantFrom<Json[]>(null, { email: null }, { email: 'GUEST@Example.com' }, { email: 'x' }),
    payment_link: fc.constantFrom<Json[]>(null, 'plink_1', { id: 'plink_1', object: 'payment_link' }),
    metadata: map(0),
    payment_method_types: fc.subarray(methods),
    success_url: optionalText,
    client_secret: fc.constant('cs_secret'),
    line_items: fc.constantFrom<Json[]>({ object: 'list', data: [{ id: 'li_1' }] }, { object: 'list', data: [] }),
  },
  { requiredKeys: ['id', 'object', 'status', 'payment_status', 'mode'] },
) as fc.Arbitrary<RawState>;

const eventTypes = ['completed', 'async_payment_succeeded', 'async_payment_failed', 'expired', 'of_tomorrow'];

const filters = fc.uniqueArray(
  fc.constantFrom(
    ...[
      'customer=cus_1',
      'customer=',
      'customer__in=cus_1,x',
      'customer__in=a%2Cb&customer__in=x',
      'customer__isnull=true',
    ],
    ...[
      'mode=payment',
      'mode__in=setup,subscription',
      'livemode=true',
      'livemode__isnull=true',
      'subscription__isnull=false',
    ],
    ...['created__gte=2026-01-01', 'created__lt=2026-01-01T00:00:00.000001Z', 'created__isnull=false'],
    ...[
      'success_url__startswith=https://',
      'locale__iexact=X',
      'description__icontains=x',
      'cancel_url__startswith=%25',
    ],
    ...[
      'client_reference_id=a%2Cb',
      'locale=_',
      'metadata%5Ba%5D=1',
      'metadata%5Border%20id%5D=x',
      'metadata%5Bb%5D=true',
    ],
    ...[
      'payment_method_types__contains=card',
      'status=complete',
      'payment_status__in=paid,unpaid',
      'id__startswith=cs_',
    ],
    ...[
      'status[]=open&status[]=expired',
      'email=GUEST@example.com',
      'email__in=x,guest@Example.com',
      'payment_link=plink_1',
      'payment_link__isnull=true',
      'livemode=1',
      'created__gte=2026-01-31+12:00:00+UTC',
    ],
  ),
  { maxLength: 2, selector: (filter) => filter.split('=')[0] },
);

const orderings = ['created', 'djstripe_created', 'djstripe_updated', 'id', 'djstripe_id'].flatMap((name) => [
  name,
  `-${name}`,
]);

/** Generators of each kind of request. */
const requests = {
  create: fc.record({ id, body, fault: sometimes(fault, 6) }),
  replace: fc.record({ id, body, fault: sometimes(fault, 6), preconditions: sometimes(preconditions, 1) }),
  patch: fc.record({ id, patch, fault: sometimes(fault, 6), preconditions: sometimes(preconditions, 1) }),
  remove: fc.record({ id, preconditions: sometimes(preconditions, 2) }),
  retrieve: fc.record({ id, preconditions: sometimes(preconditions, 1), payment: fc.boolean() }),
  payment: fc.record({ id }),
  stripeData: fc.record({ id }),
  deliver: fc.record({
    raw,
    event: fc.record({
      id: fc.constantFrom('evt_1', 'evt_2', 'evt_3', 'evt_A'),
      type: fc.constantFrom(...eventTypes.map((name) => `checkout.session.${name}`), 'customer.created'),
      created: fc.integer({ min: 1_769_861_000, max: 1_769_861_002 }),
      api_version: fc.constantFrom(null, '2020-03-02', '2026-10-28.endive'),
    }),
    forged: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  }),
  refresh: fc.record({ raw, isKnown: fc.integer({ min: 0, max: 4 }).map((dice) => dice > 0) }),
  list: fc.record({
    filters,
    ordering: sometimes(fc.constantFrom(...orderings), 1),
    limit: fc.integer({ min: 1, max: 3 }),
    payment: fc.boolean(),
  }),
  events: fc.record({ id }),
  enums: fc.record({ name: fc.constantFrom('mode', 'submit_type', 'billing_address_collection', 'locale') }),
};

type Requests = typeof requests;
export type RequestOf<Kind extends keyof Requests> = Requests[Kind] extends fc.Arbitrary<infer Value> ? Value : never;
export type Request = { [Kind in keyof Requests]: { kind: Kind; input: RequestOf<Kind> } }[keyof Requests];

const weights: Record<keyof Requests, number> = {
  ...{ create: 4, replace: 4, patch: 5, remove: 2, retrieve: 2, payment: 1, stripeData: 1, deliver: 6, refresh: 2 },
  ...{ list: 3, events: 1, enums: 1 },
};

export const anyRequest = fc.oneof(
  ...Object.entries(requests).map(([kind, arbitrary]) => ({
    weight: weights[kind as keyof Requests],
    arbitrary: (arbitrary as fc.Arbitrary<unknown>).map((input) => ({ kind, input }) as Request),
  })),
);
