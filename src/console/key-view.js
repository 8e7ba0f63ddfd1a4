import { useState } from 'preact/hooks';
import { Failure, key, request } from './api.js';
import { html } from './html.js';

/**
 * Asks for the key once, and tries it before it is kept.
 *
 * @param {{ wasRefused: boolean, onKey: () => void }} props
 */
export function KeyView({ wasRefused, onKey }) {
  const [fault, setFault] = useState(wasRefused ? 'The key is not known to the service, or not any more.' : '');
  const [isTrying, setTrying] = useState(false);

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const typed = String(new FormData(form).get('key') ?? '').trim();
    setFault('');
    if (!/^[\x21-\x7e]+$/.test(typed)) {
      setFault('A key has visible ASCII characters and no spaces.');
      return;
    }
    setTrying(true);
    try {
      await request('enums', { withKey: typed });
      key.set(typed);
      onKey();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFault(error.status === 401 ? 'The service does not know this key.' : error.message);
    } finally {
      setTrying(false);
    }
  }

  return html`
    <form class="key-form card" onSubmit=${submit}>
      <h1>Enter your key</h1>
      <p class="muted">This service shows its sessions to holders of a key. One that only reads is enough.</p>
      <label for="key">API key</label>
      <input
        id="key" name="key" type="password" autocomplete="off" spellcheck=${false} required autofocus
        aria-invalid=${fault !== ''} aria-describedby="key-note key-fault"
      />
      <p id="key-fault" class="fault" role="alert">${fault}</p>
      <button class="primary" disabled=${isTrying}>${isTrying ? 'Trying …' : 'Open'}</button>
      <p id="key-note" class="muted small">It is kept in this tab alone, until the tab is closed or you choose “Forget key”.</p>
    </form>
  `;
}
