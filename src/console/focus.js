import { useLayoutEffect, useRef } from 'preact/hooks';
import { linkToSession } from './address.js';
import { lastScrollPosition } from './router.js';

/**
 * Moves the focus to a new view or page, for keyboards and screen readers. Back from a session, the list is where the reader left
 * it, with the focus on that session. The form for the key has its own focus.
 *
 * @param {{ current: HTMLElement | null }} main @param {import('./types.js').Route} route @param {boolean} isKeyFormShown
 */
export function useFocus(main, route, isKeyFormShown) {
  const { view, id, params } = route;
  const place = { view, id, cursor: params.cursor, isKeyFormShown };
  const last = useRef(/** @type {typeof place | undefined} */ (undefined));
  useLayoutEffect(() => {
    const from = last.current;
    last.current = place;
    /** @type {HTMLElement | null | undefined} */
    const search = mayTypeAtOnce(route) ? main.current?.querySelector('#search') : undefined;
    if (from === undefined) search?.focus();
    if (from === undefined || isKeyFormShown) return;
    const isNewPage = params.cursor !== undefined && params.cursor !== from.cursor;
    const isNewView = view !== from.view || id !== from.id || isKeyFormShown !== from.isKeyFormShown;
    if (!isNewPage && !isNewView) return;
    const hasReturned = from.view === 'session' && id === '';
    /** @type {HTMLElement | null | undefined} */
    const link = main.current?.querySelector(`a[href="${CSS.escape(linkToSession(from.id))}"]`);
    scrollTo(0, hasReturned ? lastScrollPosition() : 0);
    (link ?? search ?? main.current)?.focus({ preventScroll: true });
  }, [route, isKeyFormShown]);
}

/**
 * Returns whether the search box gets the focus, so that an id can be pasted without a click: on the plain list of sessions, and
 * not on a touch screen, where the focus opens the keyboard.
 *
 * @param {import('./types.js').Route} route
 */
const mayTypeAtOnce = ({ view, params }) =>
  view === 'sessions' && Object.keys(params).length === 0 && matchMedia('(pointer: fine)').matches;
