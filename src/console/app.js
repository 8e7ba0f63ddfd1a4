import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { linkTo } from './address.js';
import { key, settings } from './api.js';
import { EventsView } from './events-view.js';
import { html } from './html.js';
import { KeyView } from './key-view.js';
import { OverviewView } from './overview-view.js';
import { EmptyNotice } from './parts.js';
import { useRoute } from './router.js';
import { SessionView } from './session-view.js';
import { SessionsView } from './sessions-view.js';
import { onKeyRefused } from './use-resource.js';

const pages = [
  { name: 'Sessions', path: 'sessions', views: ['sessions', 'session'] },
  { name: 'Events', path: 'events', views: ['events'] },
  { name: 'Overview', path: 'overview', views: ['overview'] },
];

const titles = { sessions: 'Sessions', session: 'Session', events: 'Events', overview: 'Overview', none: 'Not found' };

/** The page: its head, and the view of the current address. */
export function App() {
  const route = useRoute();
  const [isKeyFormShown, setKeyFormShown] = useState(settings.needsKey && key.get() === undefined);
  const [wasRefused, setRefused] = useState(false);
  useEffect(
    () =>
      onKeyRefused(() => {
        setRefused(true);
        setKeyFormShown(true);
      }),
    [],
  );
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const place = `${route.view}/${route.id}`;
  const lastPlace = useRef(place);
  useLayoutEffect(() => {
    document.title = `${route.id || titles[route.view]} · Checkout Sessions`;
    if (lastPlace.current === place) return;
    // Move the focus to the new view, for keyboards and screen readers.
    lastPlace.current = place;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place, route]);

  const forget = () => {
    key.forget();
    setRefused(false);
    setKeyFormShown(true);
  };
  const open = () => setKeyFormShown(false);
  return html`
    <a class="skip" href="#main" onClick=${skipTo(main)}>Skip to the content</a>
    <header class="head">
      <div class="head-inner">
        <a class="brand" href=${linkTo('sessions')}><img src="icon.svg" alt="" width="24" height="24" />Checkout Sessions</a>
        ${!isKeyFormShown && html`<${Navigation} view=${route.view} />`}
        ${!isKeyFormShown && settings.needsKey && html`<button class="quiet" onClick=${forget}>Forget key</button>`}
      </div>
    </header>
    <main id="main" tabindex="-1" ref=${main}>
      ${isKeyFormShown ? html`<${KeyView} wasRefused=${wasRefused} onKey=${open} />` : html`<${View} key=${place} route=${route} />`}
    </main>
  `;
}

/** Returns the handler of the skip link. @param {{ current: HTMLElement | null }} main */
function skipTo(main) {
  // Focus by script: following `#main` would change the view, as the fragment is the address.
  return (/** @type {Event} */ event) => {
    event.preventDefault();
    main.current?.focus();
  };
}

/** @param {{ view: string }} props */
function Navigation({ view }) {
  const links = pages.map(({ name, path, views }) => {
    const isCurrent = views.includes(view);
    return html`<a href=${linkTo(path)} aria-current=${isCurrent ? 'page' : undefined}>${name}</a>`;
  });
  return html`<nav aria-label="Views">${links}</nav>`;
}

/** @param {{ route: import('./types.js').Route }} props */
function View({ route }) {
  switch (route.view) {
    case 'sessions':
      return html`<${SessionsView} params=${route.params} />`;
    case 'session':
      return html`<${SessionView} id=${route.id} />`;
    case 'events':
      return html`<${EventsView} params=${route.params} />`;
    case 'overview':
      return html`<${OverviewView} params=${route.params} />`;
    default:
      return html`<${EmptyNotice} title="Page not found"><a href=${linkTo('sessions')}>Go to the sessions</a><//>`;
  }
}
