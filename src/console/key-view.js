import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Failure, key, request } from './api.js';
import { html } from './html.js';

/**
 * The form for the key. It checks the key with a request before it keeps it.
 *
 * @param {{ wasRefused: boolean, onKey: () => void }} props
 */
export function KeyView({ wasRefused, onKey }) {
  const [fault, setFault] = useState(
    wasRefused ? 'The service refused the last request: the key is missing or no longer valid.' : '',
  );
  const [isChecking, setChecking] = useState(false);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  // The attribute autofocus works only once in a document.
  useLayoutEffect(() => input.current?.focus(), []);

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const typed = String(new FormData(form).get('key') ?? '').trim();
    setFault('');
    if (!/^[\x21-\x7e]+$/.test(typed)) {
      setFault('A key consists of visible ASCII characters, without spaces.');
      return;
    }
    setChecking(true);
    try {
      await request('enums', { withKey: typed });
      key.set(typed);
      onKey();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFault(error.status === 401 ? 'The service does not know this key.' : error.message);
    } finally {
      setChecking(false);
    }
  }

  return html`
    <form class="key-form card" onSubmit=${submit}>
      <h1>Enter your key</h1>
      <p class="muted">You need an API key to see the sessions. A read-only key is enough.</p>
      <label for="key">API key</label>
      <input
        id="key" name="key" type="password" ref=${input} autocomplete="off" spellcheck=${false} required
        aria-invalid=${fault !== ''} aria-describedby="key-note key-fault"
      />
      <p id="key-fault" class="fault" role="alert">${fault}</p>
      <button class="primary" disabled=${isChecking}>${isChecking ? 'Checking …' : 'Open'}</button>
      <p id="key-note" class="muted small">The page keeps the key in this tab only, until you close the tab or choose “Forget key”.</p>
    </form>
  `;
}
