import { linkTo, linkToSession } from './address.js';
import { cursorOf } from './api.js';
import { useChanges } from './changes.js';
import { html } from './html.js';
import { formatMoney } from './money.js';
import {
  Chip,
  EmptyNotice,
  FailureNotice,
  LiveTag,
  Loading,
  liveOptions,
  openRow,
  Pager,
  RelativeTime,
  Select,
  StateBadge,
} from './parts.js';
import { describeFilter, searchesIn } from './search.js';
import { SearchBox } from './search-box.js';
import { stateFilters, stateNames, stateOf } from './states.js';
import { dayAfter, isDay } from './time.js';
import { useResource } from './use-resource.js';

/** @typedef {import('./types.js').SessionWithPayment} Session */

const rowsOfPage = 25;

/** @type {[string, string][]} */
const stateOptions = [
  ['', 'All states'],
  ...Object.keys(stateFilters).map(
    (name) => /** @type {[string, string]} */ ([name, stateNames[/** @type {keyof typeof stateNames} */ (name)]]),
  ),
];
/** @type {[string, string][]} */
const modeOptions = [
  ['', 'All modes'],
  ['payment', 'Payment'],
  ['subscription', 'Subscription'],
  ['setup', 'Setup'],
];

/** Converts the parameters of the page's address to parameters of the API. @param {Record<string, string>} params */
function queryOf(params) {
  const { state = '', mode, live, day = '', cursor } = params;
  return {
    ...searchesIn(params),
    ...(Object.hasOwn(stateFilters, state) && stateFilters[state]),
    ...(isDay(day) && { created__gte: day, created__lt: dayAfter(day) }),
    mode,
    livemode: live,
    cursor,
    limit: rowsOfPage,
    include: 'payment',
  };
}

/** The view of the sessions, newest first, with search and filters. @param {{ params: Record<string, string> }} props */
export function SessionsView({ params }) {
  /** @type {ReturnType<typeof useResource<import('./types.js').Page<Session>>>} */
  const { data, failure, reload } = useResource('checkout-sessions', queryOf(params));
  useChanges((changes) => changes?.length !== 0 && reload(), params.cursor === undefined);
  const change = (/** @type {Record<string, string>} */ changed) => {
    location.hash = linkTo('sessions', { ...params, cursor: undefined, ...changed });
  };
  return html`
    <h1 class="visually-hidden">Sessions</h1>
    <${SearchBox} params=${params} />
    <div class="filters">
      <${Select} label="State" value=${params.state ?? ''} options=${stateOptions} onChange=${(/** @type {string} */ state) => change({ state })} />
      <${Select} label="Mode" value=${params.mode ?? ''} options=${modeOptions} onChange=${(/** @type {string} */ mode) => change({ mode })} />
      <${Select} label="Live or test" value=${params.live ?? ''} options=${liveOptions} onChange=${(/** @type {string} */ live) => change({ live })} />
      <label class="choice"><span>Day (UTC)</span>
        <input type="date" value=${params.day ?? ''} onChange=${(/** @type {Event} */ event) => change({ day: /** @type {HTMLInputElement} */ (event.currentTarget).value })} />
      </label>
      <${Chips} params=${params} />
    </div>
    ${failure && html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort=${data !== undefined} />`}
    ${!data && !failure && html`<${Loading} shape="list" rows=${12} label="Loading sessions" />`}
    ${data && html`<${Results} page=${data} params=${params} />`}
  `;
}

/** The active searches, each with a link that removes it. @param {{ params: Record<string, string> }} props */
function Chips({ params }) {
  const { cursor: _, ...kept } = params;
  const without = (/** @type {string} */ name) => linkTo('sessions', { ...kept, [name]: undefined });
  if (Object.keys(kept).length === 0) return null;
  const chips = Object.entries(searchesIn(kept)).map(
    ([name, value]) => html`<${Chip} key=${name} name=${describeFilter(name)} value=${value} href=${without(name)} />`,
  );
  return html`<span class="chips">${chips}<a class="clear" href=${linkTo('sessions')}>Clear all</a></span>`;
}

/** @param {{ page: import('./types.js').Page<Session>, params: Record<string, string> }} props */
function Results({ page, params }) {
  const { results } = page;
  const pageAt = (/** @type {string | null} */ link) =>
    link === null ? undefined : linkTo('sessions', { ...params, cursor: cursorOf(link) });
  if (results.length === 0) return html`<${NoSessions} params=${params} />`;
  return html`
    <p class="visually-hidden" role="status">${results.length} sessions on this page</p>
    <table class="rows sessions" role="table" aria-label="Sessions, newest first">
      <thead role="rowgroup"><tr role="row">
        <th role="columnheader" scope="col">Created</th><th role="columnheader" scope="col" class="number">Amount</th>
        <th role="columnheader" scope="col">State</th><th role="columnheader" scope="col">Customer</th>
        <th role="columnheader" scope="col">Session</th><th role="columnheader" scope="col">Mode</th>
        <th role="columnheader" scope="col"><span class="visually-hidden">Live or test</span></th>
      </tr></thead>
      <tbody role="rowgroup">${results.map((session) => html`<${Row} key=${session.id} session=${session} />`)}</tbody>
    </table>
    <${Pager} newer=${pageAt(page.previous)} older=${pageAt(page.next)} />
  `;
}

/** @param {{ session: Session }} props */
function Row({ session }) {
  const { payment } = session;
  const amount = formatMoney(payment?.amount_total, payment?.currency);
  const isPaid = stateOf(payment) === 'paid';
  return html`<tr role="row" class="row" onClick=${openRow}>
    <td role="cell" class="when"><${RelativeTime} time=${session.created ?? session.djstripe_created} /></td>
    <td role="cell" class="amount number ${isPaid ? 'paid' : ''}">${amount || '–'}</td>
    <td role="cell" class="state"><${StateBadge} payment=${payment} /></td>
    <td role="cell" class="customer"><${Customer} session=${session} /></td>
    <td role="cell" class="id"><a class="row-link" href=${linkToSession(session.id)} title=${session.id}>${session.id}</a></td>
    <td role="cell" class="mode">${session.mode}</td>
    <td role="cell" class="live"><${LiveTag} livemode=${session.livemode} /></td>
  </tr>`;
}

/** @param {{ session: Session }} props */
function Customer({ session }) {
  const name = session.customer_email || session.customer || session.client_reference_id;
  return name ? html`<span title=${name}>${name}</span>` : html`<span class="muted">Guest</span>`;
}

/** The notice for an empty list, with what to try next. @param {{ params: Record<string, string> }} props */
function NoSessions({ params }) {
  if (Object.keys(params).length === 0) {
    return html`<${EmptyNotice} title="No sessions yet">
      <p>Sessions appear here when Stripe delivers the first event to <code>/webhooks/stripe</code>, or when your back end
      writes one. <code>npm run backfill</code> fetches the sessions that Stripe already has.</p>
    <//>`;
  }
  const reference = params.client_reference_id;
  const searches = searchesIn(params);
  const isNarrowed = params.state || params.mode || params.live || params.day;
  return html`<${EmptyNotice} title="No session matches">
    ${
      reference &&
      html`<p>The text was searched as a client reference. Search metadata as <code>key=${reference}</code>, or
        ${' '}<a href=${linkToSession(reference)}>open it as a session id</a>.</p>`
    }
    ${isNarrowed && Object.keys(searches).length > 0 && html`<p><a href=${linkTo('sessions', searches)}>Search without the other filters</a></p>`}
    <p><a href=${linkTo('sessions')}>Show all sessions</a></p>
  <//>`;
}
