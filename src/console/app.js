import { useEffect, useRef, useState } from 'preact/hooks';
import { linkTo } from './address.js';
import { key, settings } from './api.js';
import { EventsView } from './events-view.js';
import { useFocus } from './focus.js';
import { html } from './html.js';
import { KeyView } from './key-view.js';
import { OverviewView } from './overview-view.js';
import { EmptyNotice } from './parts.js';
import { useRoute } from './router.js';
import { SessionView } from './session-view.js';
import { SessionsView } from './sessions-view.js';
import { forgetKey, onKeyRefused } from './use-resource.js';

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
  useFocus(main, route, isKeyFormShown);
  useEffect(() => {
    document.title = `${route.id || titles[route.view]} · Checkout Sessions`;
  }, [route]);
  const list = useRef({ name: 'Sessions', href: linkTo('sessions') });
  const page = pages.find(({ path }) => path === route.view);
  if (page) list.current = { name: page.name, href: linkTo(page.path, route.params) };

  const forget = () => {
    forgetKey();
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
      ${isKeyFormShown ? html`<${KeyView} wasRefused=${wasRefused} onKey=${open} />` : html`<${View} key=${route.view + route.id} route=${route} list=${list.current} />`}
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

/** @param {{ route: import('./types.js').Route, list: { name: string, href: string } }} props `list` is the last list */
function View({ route, list }) {
  switch (route.view) {
    case 'sessions':
      return html`<${SessionsView} params=${route.params} />`;
    case 'session':
      return html`<${SessionView} id=${route.id} list=${list} />`;
    case 'events':
      return html`<${EventsView} params=${route.params} />`;
    case 'overview':
      return html`<${OverviewView} params=${route.params} />`;
    default:
      return html`<${EmptyNotice} title="Page not found"><a href=${linkTo('sessions')}>Go to the sessions</a><//>`;
  }
}
