/**
 * The page's address holds all that is shown, so that a link can be sent. It stands behind the `#`, which a browser keeps
 * to itself: no log of a server or proxy gets a customer's address.
 */

/** @typedef {import('./types.js').Route} Route */

/** @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const params = Object.fromEntries(new URLSearchParams(query));
  const [name = '', ...rest] = path.split('/');
  const id = decoded(rest.join('/'));
  if (name === '' || name === 'sessions') return { view: id ? 'session' : 'sessions', id, params };
  if ((name === 'events' || name === 'overview') && !id) return { view: name, id, params };
  return { view: 'none', id: '', params };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Returns the address of a view. Parameters that are empty are left out.
 *
 * @param {string} path @param {import('./types.js').Params} [params]
 */
export function linkTo(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return `#/${path}${text && `?${text}`}`;
}

/** @param {string} id */
export const linkToSession = (id) => linkTo(`sessions/${encodeURIComponent(id)}`);
