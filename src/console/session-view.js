import { useState } from 'preact/hooks';
import { linkTo } from './address.js';
import { Failure, request, settings } from './api.js';
import { useChanges } from './changes.js';
import { html } from './html.js';
import { formatMoney } from './money.js';
import { CopyButton, FailureNotice, LiveTag, Loading, RelativeTime, StateBadge } from './parts.js';
import { LineItems, Metadata, Properties, RawObject } from './session-parts.js';
import { eventName, paymentSentence, stateOf } from './states.js';
import { dashboardLink } from './stripe-links.js';
import { Timeline } from './timeline.js';
import { refuseKey, useResource } from './use-resource.js';

/** @typedef {import('./types.js').SessionWithPayment} Session */
/** @typedef {ReturnType<typeof useResource<import('./types.js').Page<import('./types.js').LedgerEvent>>>} Events */

/**
 * The view of one session: its payment, its events, and all stored properties.
 *
 * @param {{ id: string, list: { name: string, href: string } }} props `list` is the list that the reader came from
 */
export function SessionView({ id, list }) {
  const path = `checkout-sessions/${encodeURIComponent(id)}`;
  /** @type {ReturnType<typeof useResource<Session>>} */
  const { data: session, failure, reload } = useResource(path, { include: 'payment' });
  /** @type {Events} */
  const events = useResource('stripe-events', { session_id: id, limit: 100 });
  const [changes, setChanges] = useState(/** @type {import('./changes.js').Change[]} */ ([]));
  const reloadAll = () => {
    reload();
    events.reload();
  };
  useChanges((all) => {
    const own = all?.filter((change) => change.session_id === id) ?? [];
    // The feed may repeat a change.
    if (own.length > 0) setChanges((before) => [...new Map([...before, ...own].map((one) => [one.id, one])).values()]);
    if (all === undefined || own.length > 0) reload();
    events.reload();
  });

  const back = html`<a class="back" href=${list.href}>← ${list.name}</a>`;
  if (!session) {
    const isMissing = failure?.status === 404 || failure?.status === 400;
    return html`${back}
      ${isMissing && html`<${MissingSession} id=${id} path=${path} onFound=${reloadAll} />`}
      ${failure && !isMissing && html`<${FailureNotice} failure=${failure} onRetry=${reload} />`}
      ${!failure && html`<h1 class="visually-hidden">Session</h1><${Loading} shape="cards" rows=${3} label="Loading the session" />`}`;
  }
  return html`
    ${back}
    ${failure && html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort />`}
    <${Summary} session=${session} events=${events} path=${path} onChange=${reloadAll} />
    <div class="columns">
      <div>
        <${LineItems} session=${session} />
        <${Timeline} session=${session} events=${events} changes=${changes} />
      </div>
      <div>
        <${Customer} session=${session} />
        <${Metadata} metadata=${session.metadata} />
      </div>
    </div>
    <${Properties} session=${session} />
    ${session.payment && html`<${RawObject} path=${path} />`}
  `;
}

/**
 * The answer in a few lines: whether the session is paid, how much, and whether an event arrived.
 *
 * @param {{ session: Session, events: Events, path: string, onChange: () => void }} props
 */
function Summary({ session, events, path, onChange }) {
  const { created, djstripe_created: stored, livemode, payment } = session;
  const amount = formatMoney(payment?.amount_total, payment?.currency);
  const dashboard = dashboardLink(session);
  const expires = stateOf(payment) === 'open' && payment?.expires_at;
  return html`
    <section class="summary card" aria-labelledby="session-title">
      <div class="summary-head">
        <p class="figure">${amount || 'No amount'}</p>
        <p class="badges"><${StateBadge} payment=${payment} />${livemode !== null && html`<${LiveTag} livemode=${livemode} />`}<span class="tag mode">${session.mode}</span></p>
      </div>
      <p class="verdict">${paymentSentence(payment)} ${expires && html`It expires <${RelativeTime} time=${expires} />.`}</p>
      <${Arrival} events=${events} />
      <div class="session-id"><h1 id="session-title"><code>${session.id}</code></h1><${CopyButton} text=${session.id} label="the id" /></div>
      <p class="muted">${created ? 'Created' : 'Stored'} <${RelativeTime} time=${created ?? stored} />, last changed here <${RelativeTime} time=${session.djstripe_updated} />.</p>
      <div class="actions">
        ${settings.canRefresh && html`<${Refresh} path=${path} onChange=${onChange} />`}
        ${dashboard && html`<a class="button" href=${dashboard.url} target="_blank" rel="noopener noreferrer">${dashboard.name} in Stripe ↗</a>`}
      </div>
    </section>
  `;
}

/** A sentence about the last event, in the order in which Stripe created the events. @param {{ events: Events }} props */
function Arrival({ events: { data, failure } }) {
  const [event] = [...(data?.results ?? [])].sort((a, b) => Date.parse(b.created) - Date.parse(a.created));
  if (event)
    return html`<p>The last event, “${eventName(event.type)}”, arrived <${RelativeTime} time=${event.received_at} />.</p>`;
  if (data) return html`<p>No event of this session is stored.</p>`;
  return html`<p class="muted">${failure ? 'The events cannot be read now.' : 'Looking for its events …'}</p>`;
}

/** A button that fetches the session from Stripe. @param {{ path: string, onChange: () => void }} props */
function Refresh({ path, onChange }) {
  const [note, setNote] = useState('');
  const [isBusy, setBusy] = useState(false);
  async function refresh() {
    setBusy(true);
    setNote('');
    try {
      await request(`${path}/refresh`, { method: 'POST' });
      setNote('The session is up to date.');
      onChange();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.status === 401) refuseKey();
      setNote(error.status === 403 ? 'This key only reads: it may not ask Stripe.' : error.message);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <button type="button" class="primary" disabled=${isBusy} onClick=${refresh}>${isBusy ? 'Refreshing …' : 'Refresh from Stripe'}</button>
    <span class="muted small" role="status">${note}</span>
  `;
}

/** @param {{ id: string, path: string, onFound: () => void }} props */
function MissingSession({ id, path, onFound }) {
  return html`
    <div class="empty card">
      <h1>There is no such session</h1>
      <p class="muted">The service has no session with the id <code>${id}</code>. It may have been deleted, or Stripe has not sent an event about it yet.</p>
      ${settings.canRefresh && html`<div class="actions"><${Refresh} path=${path} onChange=${onFound} /></div>`}
    </div>
  `;
}

/** The properties that link to all sessions with the same value: the property, its name, and the filter of the link. */
const related = /** @type {const} */ ([
  ['customer_email', 'E-mail', 'email'],
  ['customer', 'Customer', 'customer'],
  ['client_reference_id', 'Client reference', 'client_reference_id'],
  ['payment_intent', 'Payment', 'payment_intent'],
  ['subscription', 'Subscription', 'subscription'],
  ['djstripe_owner_account', 'Account', undefined],
]);

/** @param {{ session: Session }} props */
function Customer({ session }) {
  const rows = related.flatMap(([property, name, filter]) => {
    const value = session[property];
    if (!value) return [];
    return html`<div>
      <dt>${name}</dt>
      <dd>
        ${filter ? html`<a href=${linkTo('sessions', { [filter]: value })} title="Show all sessions with this value">${value}</a>` : value}
        <${CopyButton} text=${value} label=${name.toLowerCase()} />
      </dd>
    </div>`;
  });
  return html`<section class="card" aria-labelledby="customer-title">
    <h2 id="customer-title">Customer and references</h2>
    ${rows.length === 0 ? html`<p class="muted">The session names no customer and no reference.</p>` : html`<dl class="pairs">${rows}</dl>`}
  </section>`;
}
