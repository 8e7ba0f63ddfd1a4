import { linkTo, linkToSession } from './address.js';
import { cursorOf } from './api.js';
import { useChanges } from './changes.js';
import { html } from './html.js';
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
} from './parts.js';
import { eventName, eventTypes, outcomeOf, outcomes } from './states.js';
import { useResource } from './use-resource.js';

/** @typedef {import('./types.js').LedgerEvent} LedgerEvent */

/** @type {[string, string][]} */
const typeOptions = [['', 'All types'], ...Object.entries(eventTypes)];
/** @type {[string, string][]} */
const outcomeOptions = [
  ['', 'All outcomes'],
  ...Object.entries(outcomes).map(([value, { name }]) => /** @type {[string, string]} */ ([value, name])),
];

/** The view of the ledger: the events that arrived, and the outcome of each. @param {{ params: Record<string, string> }} props */
export function EventsView({ params }) {
  const { type, outcome, live, id, cursor } = params;
  /** @type {ReturnType<typeof useResource<import('./types.js').Page<LedgerEvent>>>} */
  const { data, failure, reload } = useResource('stripe-events', {
    type,
    outcome,
    id,
    cursor,
    livemode: live,
    limit: 25,
  });
  useChanges(reload, cursor === undefined);
  const change = (/** @type {Record<string, string>} */ changed) => {
    location.hash = linkTo('events', { ...params, cursor: undefined, ...changed });
  };
  return html`
    <div class="title-row"><h1>Events</h1><p class="muted">The events that Stripe delivered, and their outcomes.</p></div>
    <div class="filters">
      <${Select} label="Type" value=${type ?? ''} options=${typeOptions} onChange=${(/** @type {string} */ value) => change({ type: value })} />
      <${Select} label="Outcome" value=${outcome ?? ''} options=${outcomeOptions} onChange=${(/** @type {string} */ value) => change({ outcome: value })} />
      <${Select} label="Live or test" value=${live ?? ''} options=${liveOptions} onChange=${(/** @type {string} */ value) => change({ live: value })} />
      ${
        id &&
        html`<span class="chips"><${Chip} name="event" value=${id} href=${linkTo('events', { ...params, id: undefined })} /></span>`
      }
    </div>
    ${failure && html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort=${data !== undefined} />`}
    ${!data && !failure && html`<${Loading} shape="list" rows=${12} label="Loading events" />`}
    ${data && html`<${Results} page=${data} params=${params} />`}
  `;
}

/** @param {{ page: import('./types.js').Page<LedgerEvent>, params: Record<string, string> }} props */
function Results({ page, params }) {
  const pageAt = (/** @type {string | null} */ link) =>
    link === null ? undefined : linkTo('events', { ...params, cursor: cursorOf(link) });
  if (page.results.length === 0) {
    const isFiltered = Object.keys(params).length > 0;
    return html`<${EmptyNotice} title=${isFiltered ? 'No event matches' : 'No events yet'}>
      ${
        isFiltered
          ? html`<p>${params.id ? 'The event has not arrived, or it is older than the service keeps events.' : 'The service keeps events for a limited time.'}</p>
            <p><a href=${linkTo('events')}>Show all events</a></p>`
          : html`<p>Add a webhook endpoint in Stripe that delivers to <code>/webhooks/stripe</code>.</p>`
      }
    <//>`;
  }
  return html`
    <p class="visually-hidden" role="status">${page.results.length} events on this page</p>
    <table class="rows events" role="table" aria-label="Events, newest first">
      <thead role="rowgroup"><tr role="row">
        <th role="columnheader" scope="col">Received</th><th role="columnheader" scope="col">Event</th>
        <th role="columnheader" scope="col">Outcome</th><th role="columnheader" scope="col">Session</th>
        <th role="columnheader" scope="col"><span class="visually-hidden">Live or test</span></th>
      </tr></thead>
      <tbody role="rowgroup">${page.results.map((event) => html`<${Row} key=${event.session_id + event.id} event=${event} />`)}</tbody>
    </table>
    <${Pager} newer=${pageAt(page.previous)} older=${pageAt(page.next)} />
  `;
}

/** @param {{ event: LedgerEvent }} props */
function Row({ event }) {
  return html`<tr role="row" class="row" onClick=${openRow}>
    <td role="cell" class="when"><${RelativeTime} time=${event.received_at} /></td>
    <td role="cell" class="event"><span title=${event.type}>${eventName(event.type)}</span><code class="muted small" title=${event.id}>${event.id}</code></td>
    <td role="cell" class="outcome"><${OutcomeBadge} outcome=${event.outcome} /></td>
    <td role="cell" class="id"><a class="row-link" href=${linkToSession(event.session_id)} title=${event.session_id}>${event.session_id}</a></td>
    <td role="cell" class="live"><${LiveTag} livemode=${event.livemode} /></td>
  </tr>`;
}

/** @param {{ outcome: string }} props */
export function OutcomeBadge({ outcome }) {
  const { name, meaning } = outcomeOf(outcome);
  const kind = Object.hasOwn(outcomes, outcome) ? outcome : 'unknown';
  return html`<span class="badge outcome-${kind}" title=${meaning}>${name}</span>`;
}
