import { useEffect, useState } from 'preact/hooks';
import { html } from './html.js';
import { stateNames, stateOf } from './states.js';
import { exactTime, relativeTime } from './time.js';

/** What the views have in common. */

/** The state of a session, as a word with a colour. @param {{ payment: import('./types.js').Payment | null }} props */
export function StateBadge({ payment }) {
  const state = stateOf(payment);
  return html`<span class="badge ${state}">${stateNames[state]}</span>`;
}

/** Whether something is live or a test. @param {{ livemode: boolean | null }} props */
export function LiveTag({ livemode }) {
  if (livemode === null) return html`<span class="tag muted">–</span>`;
  return html`<span class="tag ${livemode ? 'live' : 'test'}">${livemode ? 'Live' : 'Test'}</span>`;
}

/** Milliseconds after which relative times are written anew. */
const tick = 15_000;

/** A time as its distance from now; the exact one on hover. @param {{ time: string | null | undefined }} props */
export function RelativeTime({ time }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), tick);
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
  return html`<button type="button" class="copy" aria-label="Copy ${label}" title="Copy ${label}" onClick=${copy}>
    <span aria-live="polite">${isDone ? 'Copied' : 'Copy'}</span>
  </button>`;
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS there is no clipboard, except on this machine.
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

/** Grey bars in place of rows that are on their way. @param {{ rows?: number, label: string }} props */
export function Loading({ rows = 6, label }) {
  const bars = Array.from({ length: rows }, () => html`<div class="skeleton"></div>`);
  return html`<div class="loading" role="status"><span class="visually-hidden">${label}</span>${bars}</div>`;
}

/** Says that there is nothing, and what may be done. @param {{ title: string, children?: unknown }} props */
export function EmptyNotice({ title, children }) {
  return html`<div class="empty card"><h2>${title}</h2><div class="explained muted">${children}</div></div>`;
}

/**
 * Says what went wrong, and what follows.
 *
 * @param {{ failure: import('./api.js').Failure, onRetry: () => void, isShort?: boolean }} props `isShort` above what is shown
 *   nevertheless
 */
export function FailureNotice({ failure, onRetry, isShort = false }) {
  const { isRetryable, message, requestId, title } = failure;
  return html`
    <div class="failed ${isShort ? 'strip' : 'card'}" role="alert">
      <h2>${title}</h2>
      <p>${message} ${isRetryable && 'It is asked again by itself.'}</p>
      <p class="actions">
        <button type="button" onClick=${onRetry}>Try again now</button>
        ${requestId && html`<span class="muted small">Request <code>${requestId}</code></span>`}
      </p>
    </div>
  `;
}

/**
 * A choice of one value; the empty one stands for all.
 *
 * @param {{ label: string, value: string, options: [value: string, name: string][], onChange: (value: string) => void }} props
 */
export function Select({ label, value, options, onChange }) {
  const change = (/** @type {Event} */ event) => onChange(/** @type {HTMLSelectElement} */ (event.currentTarget).value);
  const items = options.map(([one, name]) => html`<option value=${one} selected=${one === value}>${name}</option>`);
  return html`<label class="choice"><span>${label}</span><select value=${value} onChange=${change}>${items}</select></label>`;
}

/** @type {[string, string][]} */
export const liveOptions = [
  ['', 'Live and test'],
  ['true', 'Live'],
  ['false', 'Test'],
];

/**
 * Leads to the pages before and after.
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
