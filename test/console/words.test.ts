import { describe, expect, test } from 'vitest';
import { linkTo, linkToSession, parseRoute } from '../../src/console/address.js';
import { axisOf } from '../../src/console/axis.js';
import { lineItemsOf } from '../../src/console/line-items.js';
import { decimalsOf, formatMoney, formatShortCount, formatShortMoney } from '../../src/console/money.js';
import { describeSearch, parseSearch, searchTextOf } from '../../src/console/search.js';
import { eventName, outcomeOf, paymentSentence, stateFilters, stateNames, stateOf } from '../../src/console/states.js';
import { dashboardLink } from '../../src/console/stripe-links.js';
import { dayAfter, dayName, exactTime, isDay, relativeTime } from '../../src/console/time.js';
import { eventColumns } from '../../src/model/event-list.js';
import { sessionList } from '../../src/model/session-list.js';
import { paymentStates } from '../../src/model/statistics.js';
import { fixtures } from '../support/stripe.js';

/** The console's pure functions: amounts, times, searches, addresses and states. */

describe('money', () => {
  test.each([
    [2198, 'usd', '$21.98'],
    [5, 'usd', '$0.05'],
    [0, 'eur', '€0.00'],
    [-250, 'eur', '-€2.50'],
    [1200, 'jpy', '¥1,200'],
    [26_700, 'kwd', 'KWD 26.700'],
    [1000, 'bhd', 'BHD 1.000'],
    [500, 'isk', 'ISK 5'],
    [550, 'isk', 'ISK 5.50'],
    [500, 'ugx', 'UGX 5'],
    [500, 'mga', 'MGA 500'],
    [250, 'rsd', 'RSD 2.50'],
    [1000, 'HUF', 'HUF 10.00'],
    [9_007_199_254_740_991, 'usd', '$90,071,992,547,409.91'],
    [100, '<b>', '1.00 <b>'],
    [100, null, '100'],
  ])('%s of %s is %s', (amount, currency, text) => {
    expect(formatMoney(amount, currency).replaceAll('\u00a0', ' ')).toBe(text);
  });

  test('a value that is not an integer amount gives an empty text', () => {
    for (const amount of [null, undefined, Number.NaN, 1.5]) expect(formatMoney(amount, 'usd')).toBe('');
  });

  test('Intl has the same decimals for common currencies, and other decimals for ISK and UGX', () => {
    const departs = Intl.supportedValuesOf('currency').filter((currency) => {
      const options = { style: 'currency', currency } as const;
      return new Intl.NumberFormat('en', options).resolvedOptions().maximumFractionDigits !== decimalsOf(currency);
    });
    expect(departs).toEqual(expect.arrayContaining(['ISK', 'UGX']));
    for (const currency of ['USD', 'EUR', 'GBP', 'JPY', 'KRW', 'CLP', 'XOF', 'KWD', 'BHD', 'TND']) {
      expect(departs).not.toContain(currency);
    }
  });

  test('counts and amounts on an axis are short', () => {
    expect([0, 500, 15_000, 1_500_000].map(formatShortCount)).toEqual(['0', '500', '15K', '1.5M']);
    expect([
      formatShortMoney(123_456, 'usd'),
      formatShortMoney(123_456, 'jpy'),
      formatShortMoney(2_500_000, 'kwd'),
    ]).toEqual(['1.2K', '123.5K', '2.5K']);
  });
});

describe('times', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  test.each([
    [0, 'just now'],
    [-44, 'just now'],
    [-60, '1 minute ago'],
    [-59 * 60, '1 hour ago'],
    [-3 * 3600, '3 hours ago'],
    [-86_400, 'yesterday'],
    [-20 * 86_400, '3 weeks ago'],
    [-400 * 86_400, 'last year'],
    [30, 'in a moment'],
    [2 * 3600, 'in 2 hours'],
  ])('%s seconds from now is %s', (seconds, text) => {
    expect(relativeTime(now + seconds * 1000, now)).toBe(text);
  });

  test('the exact time has seconds and ends with UTC', () => {
    expect(exactTime(now)).toMatch(/28 Nov 2026, 12:00:00 UTC$/);
  });

  test('days are days in UTC', () => {
    expect([dayName('2026-11-28'), dayAfter('2026-12-31'), dayAfter('2028-02-28')]).toEqual([
      'Sat 28 Nov',
      '2027-01-01',
      '2028-02-29',
    ]);
    expect(['2026-11-28', '2026-02-30', '2026-1-1', 'x', '', '2026-11-28T00:00'].map(isDay)).toEqual([
      true,
      ...Array(5).fill(false),
    ]);
  });
});

describe('the search box', () => {
  test.each([
    ['cs_test_a1YS1URl', { kind: 'session', value: 'cs_test_a1YS1URl' }],
    ['  cus_NffrFeUfNV2Hib\n', { kind: 'filter', filter: 'customer', value: 'cus_NffrFeUfNV2Hib' }],
    ['pi_3MtwBwLkdIwHu7ix', { kind: 'filter', filter: 'payment_intent', value: 'pi_3MtwBwLkdIwHu7ix' }],
    ['sub_1Mow', { kind: 'filter', filter: 'subscription', value: 'sub_1Mow' }],
    ['in_1Mt', { kind: 'filter', filter: 'invoice', value: 'in_1Mt' }],
    ['plink_1', { kind: 'filter', filter: 'payment_link', value: 'plink_1' }],
    ['evt_1Mtw', { kind: 'event', value: 'evt_1Mtw' }],
    ['Jenny.Rosen+shop@Example.com', { kind: 'filter', filter: 'email', value: 'Jenny.Rosen+shop@Example.com' }],
    ['cart-6735', { kind: 'filter', filter: 'client_reference_id', value: 'cart-6735' }],
    ['in_progress order', { kind: 'filter', filter: 'client_reference_id', value: 'in_progress order' }],
    ['order=6735', { kind: 'filter', filter: 'metadata[order]', value: '6735' }],
    ['metadata order = 6735', { kind: 'filter', filter: 'metadata[order]', value: '6735' }],
    ['metadata[a.b]=x=y', { kind: 'filter', filter: 'metadata[a.b]', value: 'x=y' }],
    ['metadata.email=a@b.c', { kind: 'filter', filter: 'metadata[email]', value: 'a@b.c' }],
    ['email=a@b.c', { kind: 'filter', filter: 'email', value: 'a@b.c' }],
    ['gift=', { kind: 'filter', filter: 'client_reference_id', value: 'gift=' }],
    ['mailto:jenny@example.com?subject=Hi', { kind: 'filter', filter: 'email', value: 'jenny@example.com' }],
    ['"Rosen, Jenny" <jenny@example.com>', { kind: 'filter', filter: 'email', value: 'jenny@example.com' }],
    [
      'https://dashboard.stripe.com/test/payments/pi_3Mtw?x=1',
      { kind: 'filter', filter: 'payment_intent', value: 'pi_3Mtw' },
    ],
    ['https://checkout.stripe.com/c/pay/cs_live_a1#fid', { kind: 'session', value: 'cs_live_a1' }],
    ['<img src=x>', { kind: 'filter', filter: 'metadata[<img src]', value: 'x>' }],
  ])('%s', (text, search) => {
    expect(parseSearch(text)).toEqual(search);
  });

  test('a blank text is not a search', () => {
    expect([parseSearch(''), parseSearch(' \n')]).toEqual([undefined, undefined]);
  });

  test('the text of a filter is parsed as the same filter again', () => {
    for (const text of ['cus_1', 'a@b.c', 'cart 1', 'order=6735', 'constructor', 'pi_1']) {
      const search = parseSearch(text);
      if (search?.kind !== 'filter') throw new Error(text);
      expect(describeSearch(search)).toMatch(/^Finds sessions by \S/);
      expect(parseSearch(searchTextOf(search.filter, search.value))).toEqual(search);
    }
    expect(searchTextOf('client_reference_id', 'cus_1')).toBe('client_reference_id=cus_1');
  });

  test('the list accepts every filter of the search box', () => {
    for (const text of ['cus_1', 'pi_1', 'sub_1', 'in_1', 'plink_1', 'acct_1', 'a@b.c', 'x', 'order=1']) {
      const search = parseSearch(text);
      if (search?.kind !== 'filter') throw new Error(text);
      expect(sessionList.parse({ [search.filter]: search.value })).not.toHaveProperty('faults');
    }
  });
});

describe('the address', () => {
  test.each([
    ['', { view: 'sessions', id: '', params: {} }],
    [
      '#/sessions?state=paid&metadata%5Border%5D=1',
      { view: 'sessions', id: '', params: { state: 'paid', 'metadata[order]': '1' } },
    ],
    ['#/sessions/cs_test_1', { view: 'session', id: 'cs_test_1', params: {} }],
    ['#/sessions/a%2Fb%3Fc', { view: 'session', id: 'a/b?c', params: {} }],
    ['#/sessions/%E0', { view: 'session', id: '%E0', params: {} }],
    ['#/events?outcome=stale', { view: 'events', id: '', params: { outcome: 'stale' } }],
    ['#/overview', { view: 'overview', id: '', params: {} }],
    ['#/nowhere', { view: 'none', id: '', params: {} }],
  ])('%s', (hash, route) => {
    expect(parseRoute(hash)).toEqual(route);
  });

  test('a link is parsed to the same id and parameters', () => {
    const id = '"><b>/ü?&#';
    expect(parseRoute(linkToSession(id)).id).toBe(id);
    const params = { 'metadata[a&b]': '=1 +2', state: 'paid' };
    expect(parseRoute(linkTo('sessions', { ...params, cursor: undefined, mode: '' })).params).toEqual(params);
  });
});

describe('states', () => {
  test('each session has one state, by the rule of the statistics', () => {
    expect(Object.keys(stateNames).sort()).toEqual([...paymentStates].sort());
    expect(stateOf({ status: 'open', payment_status: 'no_payment_required' })).toBe('open');
    expect(stateOf({ status: null, payment_status: 'paid' })).toBe('paid');
    expect(stateOf({ status: 'complete', payment_status: 'of tomorrow' })).toBe('unknown');
    expect(stateOf(null)).toBe('unknown');
  });

  test('every state except unknown has filters that the list accepts', () => {
    expect([...Object.keys(stateFilters), 'unknown'].sort()).toEqual(Object.keys(stateNames).sort());
    for (const filters of Object.values(stateFilters)) expect(sessionList.parse(filters)).not.toHaveProperty('faults');
  });

  test('each state has a sentence about the payment', () => {
    const payment = {
      ...{ id: 'cs_1', amount_subtotal: 1, amount_total: 1, currency: 'usd', expires_at: null, livemode: true },
      ...{ last_event_type: null, last_event_at: null, payment_failed: false },
    };
    const sentence = (status: string | null, paid: string, failed = false) =>
      paymentSentence({ ...payment, status, payment_status: paid, payment_failed: failed });
    expect(sentence('complete', 'paid')).toBe('The customer has paid.');
    expect(sentence('complete', 'unpaid', true)).toMatch(/failed/);
    expect(sentence('complete', 'unpaid')).toMatch(/pending/);
    expect(sentence('open', 'unpaid')).toMatch(/not finished/);
    expect(sentence('expired', 'unpaid')).toMatch(/expired/);
    expect(sentence('complete', 'no_payment_required')).toMatch(/no payment was required/);
    expect(paymentSentence(null)).toMatch(/unknown/);
  });

  test('each outcome has a name, and an unknown outcome or type is its own name', () => {
    const { values = [] } = eventColumns.find(({ name }) => name === 'outcome') ?? {};
    expect(values.length).toBeGreaterThan(2);
    for (const outcome of values) expect(outcomeOf(outcome).name).not.toBe(outcome);
    expect([outcomeOf('constructor').name, eventName('toString')]).toEqual(['constructor', 'toString']);
  });
});

test('a link to the dashboard contains ids only', () => {
  const session = {
    payment_intent: 'pi_1',
    subscription: null,
    customer: 'cus_1',
    livemode: true,
    djstripe_owner_account: null,
  };
  expect(dashboardLink(session)).toEqual({ name: 'Payment', url: 'https://dashboard.stripe.com/payments/pi_1' });
  expect(dashboardLink({ ...session, livemode: false, djstripe_owner_account: 'acct_1' })?.url).toBe(
    'https://dashboard.stripe.com/acct_1/test/payments/pi_1',
  );
  expect(dashboardLink({ ...session, payment_intent: '../../x', customer: 'javascript:alert(1)' })).toBeUndefined();
});

describe('line items', () => {
  test('have a name and an amount in the shapes of all API versions', () => {
    const items = lineItemsOf(
      {
        '0': { description: 'Lamp', quantity: 2, amount_total: 3000, currency: 'eur' },
        '1': { amount: 500, quantity: 3, currency: 'usd', custom: { name: 'Socks' }, type: 'custom' },
        '2': { plan: { nickname: 'Gold', amount: 900 }, quantity: 1 },
        '3': 'x',
      },
      'jpy',
    );
    expect(items).toEqual([
      { name: 'Lamp', quantity: 2, amount: '€30.00' },
      { name: 'Socks', quantity: 3, amount: '$15.00' },
      { name: 'Gold', quantity: 1, amount: '¥900' },
    ]);
    for (const value of [null, undefined, 'x', [], {}]) expect(lineItemsOf(value, 'usd')).toEqual([]);
  });

  test('have a name and an amount in every recorded session', () => {
    const maps = fixtures('sessions').map(
      ({ object }) => object.display_items ?? (object.line_items as { data?: unknown })?.data,
    );
    const items = maps.filter(Boolean).flatMap((map) => lineItemsOf(map, 'usd'));
    expect(items.length).toBeGreaterThan(0);
    for (const { name, amount } of items) expect([name, amount]).not.toContain('');
  });
});

test.each([
  [0, 1, [0, 1]],
  [1, 1, [0, 1]],
  [8, 8, [0, 2, 4, 6, 8]],
  [33_360, 40_000, [0, 10_000, 20_000, 30_000, 40_000]],
])('an axis to %s ends at %s', (largest, top, marks) => {
  expect(axisOf(largest)).toEqual({ top, marks });
});
