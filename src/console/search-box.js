import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { linkTo, linkToSession } from './address.js';
import { html } from './html.js';
import { describeSearch, isSearchFilter, parseSearch, searchTextOf } from './search.js';

/**
 * The search box. While the reader types, it shows the filter that the search will use.
 *
 * @param {{ params: Record<string, string> }} props the parameters of the address: the search and the other filters
 */
export function SearchBox({ params }) {
  const [filter, value] = Object.entries(params).find(([name]) => isSearchFilter(name)) ?? [];
  const searched = filter === undefined ? '' : searchTextOf(filter, value ?? '');
  const [typed, setTyped] = useState(/** @type {string | undefined} */ (undefined));
  const text = typed ?? searched;
  // A new search in the address replaces the typed text. A layout effect: a later one could drop a letter typed since.
  useLayoutEffect(() => setTyped(undefined), [searched]);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const otherFilters = Object.fromEntries(Object.entries(params).filter(([name]) => !isSearchFilter(name)));
  const kept = { ...otherFilters, cursor: undefined };

  /** Searches the text in the field, not `text`: Enter may arrive before the page has drawn the last letter. @param {Event} event */
  function submit(event) {
    event.preventDefault();
    const search = parseSearch(field.current?.value ?? '');
    if (search === undefined) location.hash = linkTo('sessions', kept);
    else if (search.kind === 'session') location.hash = linkToSession(search.value);
    else if (search.kind === 'event') location.hash = linkTo('events', { id: search.value });
    else location.hash = linkTo('sessions', { ...kept, [search.filter]: search.value });
  }

  /** Follows the typed text. An emptied field ends the search at once. @param {Event} event */
  function type(event) {
    const { value } = /** @type {HTMLInputElement} */ (event.currentTarget);
    setTyped(value);
    if (value === '' && searched !== '') location.hash = linkTo('sessions', kept);
  }

  const nextSearch = parseSearch(text);
  const hint = nextSearch
    ? `${describeSearch(nextSearch)}${text === searched ? '' : ' – press Enter'}`
    : hintWithoutText;
  return html`
    <form class="search" role="search" onSubmit=${submit}>
      <label class="visually-hidden" for="search">Search sessions</label>
      <div class="search-field">
        <input
          id="search" type="search" ref=${field} value=${text} onInput=${type} autocomplete="off" spellcheck=${false}
          placeholder="E-mail, id or key=value" aria-describedby="search-hint"
        />
        <button class="primary">Search</button>
      </div>
      <p id="search-hint" class="muted small" aria-live="polite">${hint}</p>
    </form>
  `;
}

const hintWithoutText =
  'Paste the id of a session (cs_…), customer (cus_…), payment (pi_…) or subscription (sub_…), an e-mail address, a client reference, or metadata as key=value.';
