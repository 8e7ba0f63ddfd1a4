/** Links to Stripe's dashboard. */

/** The pages of the dashboard: the session property with the id, the folder in the URL, and the name. */
const dashboardPages = /** @type {const} */ ([
  ['payment_intent', 'payments', 'Payment'],
  ['subscription', 'subscriptions', 'Subscription'],
  ['customer', 'customers', 'Customer'],
]);

const isId = (/** @type {unknown} */ value) => typeof value === 'string' && /^[A-Za-z0-9_]+$/.test(value);

/**
 * Returns the link to the payment of a session in the dashboard. Without a payment it links to the subscription, and without
 * that to the customer. Undefined if the session has none of them.
 *
 * @param {Pick<import('./types.js').SessionWithPayment, 'payment_intent' | 'subscription' | 'customer' | 'livemode'
 *   | 'djstripe_owner_account'>} session
 */
export function dashboardLink(session) {
  const page = dashboardPages.find(([property]) => isId(session[property]));
  if (!page) return undefined;
  const [property, folder, name] = page;
  const account = isId(session.djstripe_owner_account) ? `${session.djstripe_owner_account}/` : '';
  const mode = session.livemode === false ? 'test/' : '';
  return { name, url: `https://dashboard.stripe.com/${account}${mode}${folder}/${session[property]}` };
}
