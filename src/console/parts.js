import { useEffect, useState } from 'preact/hooks';
import { html } from './html.js';
import { stateNames, stateOf } from './states.js';
import { exactTime, relativeTime } from './time.js';

/** The components that several views use. */

/** The state of a session, as a coloured word. @param {{ payment: import('./types.js').Payment | null }} props */
export function StateBadge({ payment }) {
  const state = stateOf(payment);
  return html`<span class="badge ${state}">${stateNames[state]}</span>`;
}

/** A tag that says live or test. @param {{ livemode: boolean | null }} props */
export function LiveTag({ livemode }) {
  if (livemode === null) return html`<span class="tag muted">–</span>`;
  return html`<span class="tag ${livemode ? 'live' : 'test'}">${livemode ? 'Live' : 'Test'}</span>`;
}

/** Milliseconds between two updates of a relative time. */
const updateInterval = 15_000;

/** A time relative to now, with the exact time on hover. @param {{ time: string | null | undefined }} props */
export function RelativeTime({ time }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), updateInterval);
    return () => clearInterval(timer);
  }, []);
  if (!time) return html`<span class="muted">–</span>`;
  const moment = Date.parse(time);
  if (Number.isNaN(moment)) return html`<span>${time}</span>`;
  return html`<time datetime=${time} title=${exactTime(moment)}>${relativeTime(moment, now)}</time>`;
}

/** A button that copies a text. @param {{ text: string, label: string }} props */
export function CopyButton({ text, label }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return undefined;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  const copy = async () => setDone(await copyText(text));
  return html`<button type="button" class="copy ${isDone ? 'done' : ''}" aria-label="Copy ${label}" title="Copy ${label}" onClick=${copy}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><path d=${isDone ? tick : twoSheets} /></svg>
    </button><span class="visually-hidden" role="status">${isDone ? 'Copied' : ''}</span>`;
}

/** The icons of the button: two sheets, and a tick once the text is copied. */
const twoSheets =
  'M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2m1-5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1Z';
const tick = 'M3 8.5l3.5 3.5 7-8';

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers offer the clipboard only over TLS and on localhost.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    return isCopied;
  }
}

/**
 * The outline of a view that is loading: the rows of a list, cards, or lines in a card.
 *
 * @param {{ shape?: 'list' | 'cards' | 'lines', rows: number, label: string }} props
 */
export function Loading({ shape = 'lines', rows, label }) {
  const bars = Array.from({ length: rows }, () => html`<div><div class="skeleton"></div></div>`);
  return html`<div class="loading ${shape}" role="status"><span class="visually-hidden">${label}</span>${bars}</div>`;
}

/** A notice that there is nothing to show, with a hint. @param {{ title: string, children?: unknown }} props */
export function EmptyNotice({ title, children }) {
  return html`<div class="empty card"><h2>${title}</h2><div class="explained muted">${children}</div></div>`;
}

/**
 * A notice about a failed request, with a button to try again if that may help.
 *
 * @param {{ failure: import('./api.js').Failure, onRetry: () => void, isShort?: boolean }} props `isShort` is for a strip above
 *   data that is still shown
 */
export function FailureNotice({ failure, onRetry, isShort = false }) {
  const { isRetryable, message, requestId, status, title } = failure;
  return html`
    <div class="failed ${isShort ? 'strip' : 'card'}" role="alert">
      <h2>${title}</h2>
      <p>${message} ${isRetryable && 'The page tries again automatically.'}</p>
      <p class="actions">
        ${status !== 400 && html`<button type="button" onClick=${onRetry}>Try again now</button>`}
        ${requestId && html`<span class="muted small">Request <code>${requestId}</code></span>`}
      </p>
    </div>
  `;
}

/**
 * A list to select one value from. The empty value means all.
 *
 * @param {{ label: string, value: string, options: [value: string, name: string][], onChange: (value: string) => void }} props
 */
export function Select({ label, value, options, onChange }) {
  const change = (/** @type {Event} */ event) => onChange(/** @type {HTMLSelectElement} */ (event.currentTarget).value);
  const items = options.map(
    ([option, name]) => html`<option value=${option} selected=${option === value}>${name}</option>`,
  );
  return html`<label class="choice"><span>${label}</span><select value=${value} onChange=${change}>${items}</select></label>`;
}

/**
 * Opens the link of a row that is clicked on a text with a tooltip, which is above the link. Selecting the text opens nothing.
 *
 * @param {MouseEvent} event
 */
export function openRow({ target, currentTarget }) {
  const isOnLink = /** @type {Element} */ (target).closest('a') !== null;
  if (isOnLink || !getSelection()?.isCollapsed) return;
  const row = /** @type {Element} */ (currentTarget);
  /** @type {HTMLElement | null} */ (row.querySelector('.row-link'))?.click();
}

/** An active filter, as a link that removes it. @param {{ name: string, value: string, href: string }} props */
export function Chip({ name, value, href }) {
  return html`<a class="chip" href=${href}><span class="visually-hidden">Remove this filter</span><span><span class="muted">${name}:</span> ${value}</span><span aria-hidden="true">✕</span></a>`;
}

/** @type {[string, string][]} */
export const liveOptions = [
  ['', 'Live and test'],
  ['true', 'Live'],
  ['false', 'Test'],
];

/**
 * The links to the newer and the older page.
 *
 * @param {{ newer: string | undefined, older: string | undefined }} props addresses
 */
export function Pager({ newer, older }) {
  if (newer === undefined && older === undefined) return null;
  return html`
    <nav class="pager" aria-label="Pages">
      ${newer === undefined ? html`<span></span>` : html`<a class="button" rel="prev" href=${newer}>← Newer</a>`}
      ${older !== undefined && html`<a class="button" rel="next" href=${older}>Older →</a>`}
    </nav>
  `;
}
