import { OutcomeBadge } from './events-view.js';
import { html } from './html.js';
import { CopyButton, FailureNotice, Loading, RelativeTime } from './parts.js';
import { eventName, stateOf } from './states.js';

/** @typedef {import('./types.js').LedgerEvent} LedgerEvent */
/** @typedef {import('./changes.js').Change} Change */
/** @typedef {{ time: string, title: string, note?: unknown, kind: string }} Entry */

/**
 * The history of a session, newest first: its events, and its changes since the page was opened.
 *
 * @param {{ session: import('./types.js').SessionWithPayment, events: import('./session-view.js').Events, changes: Change[] }} props
 */
export function Timeline({ session, events, changes }) {
  const { data, failure, reload } = events;
  const entries = entriesOf(session, data?.results ?? [], changes);
  const rows = entries.map(
    ({ time, title, note, kind }) => html`<li class="entry ${kind}">
      <span class="entry-title">${title}</span><span class="muted small"><${RelativeTime} time=${time} /></span>
      ${note && html`<span class="entry-note">${note}</span>`}
    </li>`,
  );
  return html`<section class="card" aria-labelledby="timeline-title">
    <h2 id="timeline-title">Timeline</h2>
    ${failure && html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort />`}
    ${!data && !failure ? html`<${Loading} rows=${3} label="Loading events" />` : html`<ol class="timeline">${rows}</ol>`}
    ${data?.results.length === 0 && html`<p class="muted small">No event of this session is stored.</p>`}
  </section>`;
}

/**
 * @param {import('./types.js').SessionWithPayment} session
 * @param {LedgerEvent[]} events
 * @param {Change[]} changes
 * @returns {Entry[]}
 */
function entriesOf(session, events, changes) {
  const { created, djstripe_created: stored, payment } = session;
  const isOpen = stateOf(payment) === 'open';
  const entries = [
    ...(isOpen && payment?.expires_at ? [{ time: payment.expires_at, title: 'Expires', kind: 'future' }] : []),
    ...changes.map(({ at, type, source }) => ({
      time: at,
      title: `Changed: ${type.replaceAll('_', ' ')}`,
      note: `By ${sourceNames[source] ?? source}`,
      kind: 'here',
    })),
    ...events.map((event) => ({
      time: event.created,
      title: eventName(event.type),
      note: html`<${OutcomeBadge} outcome=${event.outcome} />
        <span class="muted small">arrived <${RelativeTime} time=${event.received_at} /></span>
        <span class="entry-id muted small"><code>${event.id}</code><${CopyButton} text=${event.id} label="the id of the event" /></span>`,
      kind: `event ${event.outcome === 'applied' ? 'applied' : ''}`,
    })),
    { time: stored, title: 'First stored', kind: 'here' },
    ...(created ? [{ time: created, title: 'Created in Stripe', kind: 'stripe' }] : []),
  ];
  return entries.sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
}

/** The name of each source of a change. @type {Record<string, string>} */
const sourceNames = {
  event: 'an event',
  snapshot: 'a refresh or backfill',
  api: 'a client of the API',
  import: 'an import',
};
