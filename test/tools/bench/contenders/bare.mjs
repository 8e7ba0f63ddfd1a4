/** The ceiling: Fastify with response schemas and one constant session, without a database. */
import Fastify from 'fastify';
import { responses } from './schema.mjs';
import { serve } from './serve.mjs';

const app = Fastify();
const { session, page } = responses();

const one = {
  djstripe_id: 1,
  billing_address_collection: 'auto',
  mode: 'payment',
  submit_type: 'auto',
  djstripe_created: '2026-11-24T17:20:11.503821+00:00',
  djstripe_updated: '2026-11-24T17:20:11.503821+00:00',
  id: 'cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY',
  livemode: false,
  created: '2026-11-24T17:20:10+00:00',
  metadata: { order: '6735', channel: 'web' },
  description: null,
  cancel_url: 'https://shop.example.com/cart',
  client_reference_id: 'cart/6735',
  customer_email: '',
  display_items: null,
  locale: 'auto',
  payment_method_types: { 0: 'card', 1: 'link' },
  success_url: 'https://shop.example.com/thank-you?session_id={CHECKOUT_SESSION_ID}',
  djstripe_owner_account: 'acct_1032D82eZvKYlo2C',
  customer: 'cus_6f391f81c74067',
  payment_intent: 'pi_6f391f81c740676f391f81c7',
  subscription: null,
};
const list = { count: null, next: 'http://127.0.0.1/', previous: null, results: Array.from({ length: 50 }, () => one) };

app.get('/api/checkout-sessions/:id', { schema: { response: { 200: session } } }, async () => one);
app.get('/api/checkout-sessions', { schema: { response: { 200: page } } }, async () => list);

await serve(app);
