import { useEffect, useRef } from 'preact/hooks';
import { linkTo } from './address.js';
import { useChanges } from './changes.js';
import { BarChart } from './chart.js';
import { html } from './html.js';
import { formatMoney, formatShortCount, formatShortMoney } from './money.js';
import { EmptyNotice, FailureNotice, Loading, liveOptions, Select } from './parts.js';
import { stateNames } from './states.js';
import { dayName } from './time.js';
import { useResource } from './use-resource.js';

/** @typedef {import('./types.js').Day} Day */
/** @typedef {keyof typeof stateNames} State */

/** The parts of a bar, from the axis upwards. @type {State[]} */
const stackOrder = ['paid', 'no_payment_required', 'unpaid', 'open', 'expired', 'unknown'];

/** The view with the charts of the last 30 days. @param {{ params: Record<string, string> }} props */
export function OverviewView({ params }) {
  /** @type {ReturnType<typeof useResource<import('./types.js').Statistics>>} */
  const { data, failure, reload } = useResource('statistics/daily', { livemode: params.live });
  const countSoon = useThrottled(reload);
  useChanges((changes) => changes?.length !== 0 && countSoon());
  const change = (/** @type {string} */ live) => {
    location.hash = linkTo('overview', { live });
  };
  return html`
    <div class="title-row">
      <h1>The last 30 days ${data && html`<span class="count muted">${sessionsIn(data.days)}</span>`}</h1>
      <${Select} label="Live or test" value=${params.live ?? ''} options=${liveOptions} onChange=${change} />
    </div>
    ${failure && html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort=${data !== undefined} />`}
    ${!data && !failure && html`<${Loading} shape="cards" rows=${3} label="Counting sessions" />`}
    ${data && html`<${Charts} statistics=${data} live=${params.live} />`}
  `;
}

const plural = new Intl.PluralRules('en');

/** @param {Day[]} days */
function sessionsIn(days) {
  const count = days.reduce((sum, day) => sum + day.sessions, 0);
  return `${formatCount(count)} ${plural.select(count) === 'one' ? 'session' : 'sessions'}`;
}

/** The minimum milliseconds between two counts: changes may arrive every second. */
const betweenCounts = 10_000;

/** Returns a function that reloads at once, or as soon as the last count is old enough. @param {() => void} reload */
function useThrottled(reload) {
  const lastCount = useRef(0);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  return () => {
    clearTimeout(timer.current);
    const pause = Math.max(0, lastCount.current + betweenCounts - Date.now());
    timer.current = setTimeout(() => {
      lastCount.current = Date.now();
      reload();
    }, pause);
  };
}

/** @param {{ statistics: import('./types.js').Statistics, live: string | undefined }} props */
function Charts({ statistics, live }) {
  const days = [...statistics.days].reverse();
  const total = (/** @type {State} */ state) => days.reduce((sum, day) => sum + day[state], 0);
  const sessions = days.reduce((sum, day) => sum + day.sessions, 0);
  const { left_out: leftOut } = statistics;
  const shown = stackOrder.filter((state) => total(state) > 0 || ['paid', 'open', 'expired'].includes(state));
  const figures = shown.map((state) => {
    const share = sessions === 0 ? '' : `${Math.round((100 * total(state)) / sessions)}%`;
    return html`<div class="tile"><dt><i class="swatch ${state}"></i>${stateNames[state]}</dt><dd>${formatCount(total(state))}</dd><dd class="muted small">${share}</dd></div>`;
  });
  return html`
    ${leftOut.length > 0 && html`<p class="notice card">Counting took too long. The charts leave out the ${leftOut.length} oldest days, ${dayName(String(leftOut.at(-1)))} to ${dayName(String(leftOut[0]))}.</p>`}
    ${
      sessions === 0
        ? html`<${EmptyNotice} title="No sessions in these days"><p>The charts appear when Stripe creates the first session.</p><//>`
        : html`
      <dl class="tiles">${figures}</dl>
      <section class="card" aria-labelledby="chart-sessions">
        <h2 id="chart-sessions">Sessions per day</h2>
        <${BarChart}
          caption="Sessions created on each day (UTC), by current state"
          bars=${days.map((day) => barOf(day, shown, live))} format=${formatCount} formatShort=${formatShortCount} total
        />
      </section>
      <div class="amounts">${currenciesOf(days).map((currency) => html`<${AmountChart} key=${currency} days=${days} currency=${currency} live=${live} />`)}</div>`
    }
  `;
}

const formatCount = (/** @type {number} */ count) => count.toLocaleString('en');

/** @param {string} date @param {string | undefined} live @param {string} [state] */
const linkToDay = (date, live, state) => linkTo('sessions', { day: date, live, state });

/** @param {Day} day @param {State[]} states @param {string | undefined} live */
function barOf(day, states, live) {
  return {
    date: day.date,
    link: linkToDay(day.date, live),
    parts: states.map((state) => ({ kind: state, name: stateNames[state], value: day[state] })),
  };
}

/** Returns the currencies, the one with the most paid sessions first. @param {Day[]} days */
function currenciesOf(days) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { currency, sessions } of days.flatMap((day) => day.amounts)) {
    counts.set(currency, (counts.get(currency) ?? 0) + sessions);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([currency]) => currency);
}

/** @param {{ days: Day[], currency: string, live: string | undefined }} props */
function AmountChart({ days, currency, live }) {
  const amountOf = (/** @type {Day} */ day) =>
    day.amounts.find((amount) => amount.currency === currency)?.amount_total ?? 0;
  const total = days.reduce((sum, day) => sum + amountOf(day), 0);
  const bars = days.map((day) => ({
    date: day.date,
    link: linkToDay(day.date, live, 'paid'),
    parts: [{ kind: 'paid', name: 'Paid', value: amountOf(day) }],
  }));
  return html`<section class="card" aria-labelledby=${`chart-${currency}`}>
    <h2 id=${`chart-${currency}`} class="paid-total">Paid in ${currency.toUpperCase()} <span class="total">${formatMoney(total, currency)}</span></h2>
    <${BarChart}
      caption=${`Paid for the sessions created on each day (UTC), in ${currency.toUpperCase()}, before refunds`}
      bars=${bars} format=${(/** @type {number} */ amount) => formatMoney(amount, currency)}
      formatShort=${(/** @type {number} */ amount) => formatShortMoney(amount, currency)}
    />
  </section>`;
}
