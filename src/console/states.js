/** The states of a session and the outcomes of an event, in plain words. */

/** @typedef {import('./types.js').Payment} Payment */
/** @typedef {'paid' | 'unpaid' | 'open' | 'expired' | 'no_payment_required' | 'unknown'} State */

/** The states in the order of the filters, as a badge names them. @type {Readonly<Record<State, string>>} */
export const stateNames = {
  paid: 'Paid',
  unpaid: 'Unpaid',
  open: 'Open',
  expired: 'Expired',
  no_payment_required: 'No payment required',
  unknown: 'Unknown',
};

/**
 * Returns the one state of a session, by the rule of `GET /api/statistics/daily`.
 *
 * @param {Pick<Payment, 'status' | 'payment_status'> | null} payment
 * @returns {State}
 */
export function stateOf(payment) {
  const { status, payment_status: paid } = payment ?? { status: null, payment_status: null };
  if (status === 'open' || status === 'expired') return status;
  return paid === 'paid' || paid === 'unpaid' || paid === 'no_payment_required' ? paid : 'unknown';
}

/** The filters of the API that find the sessions of a state. @type {Readonly<Record<string, Record<string, string>>>} */
export const stateFilters = {
  paid: { payment_status: 'paid' },
  unpaid: { status: 'complete', payment_status: 'unpaid' },
  open: { status: 'open' },
  expired: { status: 'expired' },
  no_payment_required: { status: 'complete', payment_status: 'no_payment_required' },
};

/** Answers in a sentence whether a session is paid. @param {Payment | null} payment */
export function paymentSentence(payment) {
  switch (stateOf(payment)) {
    case 'paid':
      return 'The customer has paid.';
    case 'no_payment_required':
      return 'Complete, and nothing was to be paid.';
    case 'unpaid':
      if (payment?.payment_failed) return 'Not paid: the delayed payment failed.';
      return payment?.status === 'complete'
        ? 'Not paid yet: the checkout is complete, and Stripe still waits for the money.'
        : 'Not paid, as far as Stripe has told.';
    case 'open':
      return 'Not paid yet: the customer has not finished the checkout.';
    case 'expired':
      return 'Not paid: the checkout expired before the customer finished it.';
    default:
      return 'Nothing came from Stripe for this session, so its payment is not known.';
  }
}

/** What an event did, as the ledger names it: a word for the table, and what it means. */
export const outcomes = {
  applied: { name: 'Stored', meaning: 'It brought a newer state, which is stored.' },
  stale: { name: 'Older than stored', meaning: 'A newer state was stored already, so it changed nothing.' },
  deleted: { name: 'Session was deleted', meaning: 'The session was deleted here and stays so.' },
};

/** @param {string} outcome */
export const outcomeOf = (outcome) =>
  Object.hasOwn(outcomes, outcome)
    ? outcomes[/** @type {keyof typeof outcomes} */ (outcome)]
    : { name: outcome, meaning: outcome };

/** What each type of event tells, in a few words. @type {Readonly<Record<string, string>>} */
export const eventTypes = {
  'checkout.session.completed': 'Checkout completed',
  'checkout.session.async_payment_succeeded': 'Delayed payment succeeded',
  'checkout.session.async_payment_failed': 'Delayed payment failed',
  'checkout.session.expired': 'Checkout expired',
};

/** @param {string} type @returns {string} */
export const eventName = (type) => (Object.hasOwn(eventTypes, type) ? String(eventTypes[type]) : type);
