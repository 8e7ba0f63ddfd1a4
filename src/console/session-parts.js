import { useState } from 'preact/hooks';
import { linkTo } from './address.js';
import { settings } from './api.js';
import { html } from './html.js';
import { lineItemsOf } from './line-items.js';
import { formatMoney } from './money.js';
import { CopyButton, FailureNotice, Loading } from './parts.js';
import { useResource } from './use-resource.js';

/** @typedef {import('./types.js').SessionWithPayment} Session */

/** The line items. @param {{ session: Session }} props */
export function LineItems({ session }) {
  const items = lineItemsOf(session.display_items, session.payment?.currency ?? null);
  const total = formatMoney(session.payment?.amount_total, session.payment?.currency);
  const rows = items.map(
    ({ name, quantity, amount }) => html`<li class="item">
      <span class="item-name">${name}${quantity !== undefined && quantity !== 1 && html` <span class="muted">× ${quantity}</span>`}</span>
      <span class="number">${amount}</span>
    </li>`,
  );
  const text = items.map(({ name, quantity = 1, amount }) => `${quantity} × ${name}\t${amount}`).join('\n');
  return html`<section class="card" aria-labelledby="items-title">
    <div class="card-head"><h2 id="items-title">Line items</h2>${text && html`<${CopyButton} text=${text} label="the line items" />`}</div>
    ${
      rows.length === 0
        ? html`<p class="muted">No line items are stored. Stripe's events do not contain them. ${settings.canRefresh && 'A refresh fetches them.'}</p>`
        : html`<ul class="items">${rows}${total && html`<li class="item total"><span>Total</span><span class="number">${total}</span></li>`}</ul>`
    }
  </section>`;
}

/** @param {{ metadata: Session['metadata'] }} props */
export function Metadata({ metadata }) {
  const rows = Object.entries(metadata ?? {}).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const isScalar = typeof value !== 'object';
    return html`<div>
      <dt>${name}</dt>
      <dd>
        ${isScalar ? html`<a href=${linkTo('sessions', { [`metadata[${name}]`]: text })} title="Show all sessions with this value">${text}</a>` : text}
        <${CopyButton} text=${text} label=${`the value of ${name}`} />
      </dd>
    </div>`;
  });
  return html`<section class="card" aria-labelledby="metadata-title">
    <h2 id="metadata-title">Metadata</h2>
    ${rows.length === 0 ? html`<p class="muted">The session has no metadata.</p>` : html`<dl class="pairs">${rows}</dl>`}
  </section>`;
}

/** All 22 properties of the contract. @param {{ session: Session }} props */
export function Properties({ session }) {
  const { payment: _, ...published } = session;
  const rows = Object.entries(published).map(([name, value]) => {
    const isMap = typeof value === 'object' && value !== null;
    const text = isMap ? JSON.stringify(value, null, 2) : String(value ?? '');
    const shown = isMap
      ? html`<pre tabindex="0" aria-label=${name}>${text}</pre>`
      : html`<span class="value">${text}</span>`;
    return html`<div>
      <dt><code>${name}</code></dt>
      <dd>
        ${text === '' ? html`<span class="muted">${value === null ? 'null' : 'empty'}</span>` : html`${shown}<${CopyButton} text=${text} label=${name} />`}
      </dd>
    </div>`;
  });
  return html`<details class="card fold">
    <summary><h2>All properties</h2></summary>
    <dl class="pairs wide">${rows}</dl>
  </details>`;
}

/** Stripe's object. The page fetches it when the reader opens this section. @param {{ path: string }} props */
export function RawObject({ path }) {
  const [isOpen, setOpen] = useState(false);
  const toggle = (/** @type {Event} */ event) => setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open);
  return html`<details class="card fold" onToggle=${toggle}>
    <summary><h2>Stripe's object</h2></summary>
    ${isOpen && html`<${RawText} path=${path} />`}
  </details>`;
}

/** @param {{ path: string }} props */
function RawText({ path }) {
  const { data, failure, reload } = useResource(`${path}/stripe-data`);
  if (failure?.status === 403) {
    return html`<p class="muted">The object contains customer data, and this key only reads sessions. Use a key with full access.</p>`;
  }
  if (failure) return html`<${FailureNotice} failure=${failure} onRetry=${reload} isShort />`;
  if (!data) return html`<${Loading} rows=${3} label="Loading Stripe's object" />`;
  const text = JSON.stringify(data, null, 2);
  return html`<div class="raw"><${CopyButton} text=${text} label="Stripe's object" /><pre tabindex="0" aria-label="Stripe's object">${text}</pre></div>`;
}
