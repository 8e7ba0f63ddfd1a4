/** Examples of the contract's bodies. Each is valid and can be sent unchanged. */

const request = {
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'pay',
  id: 'cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY',
  livemode: false,
  created: '2026-01-31T12:00:00Z',
  metadata: { order: '6735' },
  description: null,
  cancel_url: 'https://example.com/cancel',
  client_reference_id: 'cart-6735',
  customer_email: 'buyer@example.com',
  display_items: null,
  locale: 'en',
  payment_method_types: { '0': 'card' },
  success_url: 'https://example.com/success',
  djstripe_owner_account: null,
  customer: 'cus_NffrFeUfNV2Hib',
  payment_intent: 'pi_3MtwBwLkdIwHu7ix28a3tqPa',
  subscription: null,
};

const { billing_address_collection, mode, submit_type, ...rest } = request;

const session = {
  djstripe_id: 1,
  billing_address_collection,
  mode,
  submit_type,
  djstripe_created: '2026-01-31T12:00:01.000001+00:00',
  djstripe_updated: '2026-01-31T12:00:01.000001+00:00',
  ...rest,
  created: '2026-01-31T12:00:00+00:00',
};

/** The examples, by the name of their component. */
export const examples = {
  DjStripeCheckoutSession: session,
  DjStripeCheckoutSessionRequest: request,
  PatchedDjStripeCheckoutSessionRequest: { metadata: { order: '6736', gift: 'yes' }, customer: 'cus_NffrFeUfNV2Hib' },
  PaginatedDjStripeCheckoutSessionList: { count: null, next: null, previous: null, results: [session] },
  Enum: {
    name: 'mode',
    values: [
      { value: 'payment', label: 'Payment' },
      { value: 'setup', label: 'Setup' },
      { value: 'subscription', label: 'Subscription' },
    ],
  },
};
