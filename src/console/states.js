/** The names of the states of a session, and of the outcomes and types of an event. */

/** @typedef {import('./types.js').Payment} Payment */
/** @typedef {'paid' | 'unpaid' | 'open' | 'expired' | 'no_payment_required' | 'unknown'} State */

/** The name of each state on a badge, in the order of the filters. @type {Readonly<Record<State, string>>} */
export const stateNames = {
  paid: 'Paid',
  unpaid: 'Unpaid',
  open: 'Open',
  expired: 'Expired',
  no_payment_required: 'No payment required',
  unknown: 'Unknown',
};

/**
 * Returns the state of a session, by the same rule as `GET /api/statistics/daily`.
 *
 * @param {Pick<Payment, 'status' | 'payment_status'> | null} payment
 * @returns {State}
 */
export function stateOf(payment) {
  const { status, payment_status: paymentStatus } = payment ?? { status: null, payment_status: null };
  if (status === 'open' || status === 'expired') return status;
  if (paymentStatus === 'paid' || paymentStatus === 'unpaid' || paymentStatus === 'no_payment_required') {
    return paymentStatus;
  }
  return 'unknown';
}

/** The filters of the API for each state. @type {Readonly<Record<string, Record<string, string>>>} */
export const stateFilters = {
  paid: { payment_status: 'paid' },
  unpaid: { status: 'complete', payment_status: 'unpaid' },
  open: { status: 'open' },
  expired: { status: 'expired' },
  no_payment_required: { status: 'complete', payment_status: 'no_payment_required' },
};

/** Returns a sentence that says whether a session is paid. @param {Payment | null} payment */
export function paymentSentence(payment) {
  switch (stateOf(payment)) {
    case 'paid':
      return 'The customer has paid.';
    case 'no_payment_required':
      return 'The checkout is complete, and no payment was required.';
    case 'unpaid':
      if (payment?.payment_failed) return 'Not paid: the delayed payment failed.';
      return payment?.status === 'complete'
        ? 'Not paid yet: the checkout is complete, and the payment is pending.'
        : 'Not paid: Stripe reports the session as unpaid.';
    case 'open':
      return 'Not paid yet: the customer has not finished the checkout.';
    case 'expired':
      return 'Not paid: the checkout expired before the customer finished it.';
    default:
      return 'The payment is unknown: Stripe has sent no known payment status for this session.';
  }
}

/** The outcomes of an event in the ledger: a name for the table, and an explanation. */
export const outcomes = {
  applied: { name: 'Stored', meaning: 'The service stored the state from this event.' },
  stale: { name: 'Older than stored', meaning: 'A newer state was already stored, so this event changed nothing.' },
  deleted: { name: 'Session was deleted', meaning: 'The session was deleted in this service and stays deleted.' },
};

/** Returns the name and explanation of an outcome. An unknown outcome is its own name. @param {string} outcome */
export const outcomeOf = (outcome) =>
  Object.hasOwn(outcomes, outcome)
    ? outcomes[/** @type {keyof typeof outcomes} */ (outcome)]
    : { name: outcome, meaning: outcome };

/** The name of each type of event. @type {Readonly<Record<string, string>>} */
export const eventTypes = {
  'checkout.session.completed': 'Checkout completed',
  'checkout.session.async_payment_succeeded': 'Delayed payment succeeded',
  'checkout.session.async_payment_failed': 'Delayed payment failed',
  'checkout.session.expired': 'Checkout expired',
};

/** Returns the name of a type of event. An unknown type is its own name. @param {string} type @returns {string} */
export const eventName = (type) => (Object.hasOwn(eventTypes, type) ? String(eventTypes[type]) : type);
