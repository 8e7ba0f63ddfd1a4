import { listOf, paidSession } from '../lib/stripe-api.mjs';

/** Returns a session, in the shape of Stripe's API. @param {string} id @param {Record<string, unknown>} [fields] */
export const stripeSession = (id, fields = {}) =>
  paidSession(id, { created: 1_767_323_045, currency: 'eur', metadata: { order: '7' }, ...fields });

/** Returns line items, as an expanded session has them. @param {string} id of the session */
export const lineItems = (id) =>
  listOf(
    `/v1/checkout/sessions/${id}/line_items`,
    [1, 2, 3].map((item) => ({ id: `li_${item}`, object: 'item', quantity: item, description: `Item ${item}` })),
  );
