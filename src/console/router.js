import { useEffect, useState } from 'preact/hooks';
import { parseRoute } from './address.js';

/** How far the reader had scrolled when they left an address, in pixels. @type {Map<string, number>} */
const scrollPositions = new Map();

/** Returns how far the reader had scrolled when they last left the current address. */
export const lastScrollPosition = () => scrollPositions.get(location.hash) ?? 0;

/** Returns the route of the current address. */
export function useRoute() {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    // The browser restores the position before the view has drawn its rows.
    history.scrollRestoration = 'manual';
    const follow = (/** @type {HashChangeEvent} */ { oldURL }) => {
      scrollPositions.set(new URL(oldURL).hash, scrollY);
      setRoute(parseRoute(location.hash));
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}
