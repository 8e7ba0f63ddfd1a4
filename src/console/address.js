/**
 * The address of the page. It contains the whole view, so people can share a link. It is in the fragment after `#`, which a
 * browser does not send: no log of a server or proxy gets a customer's e-mail address.
 */

/** @typedef {import('./types.js').Route} Route */

/** Parses the fragment of the address. An unknown path gives the view `none`. @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const params = Object.fromEntries(new URLSearchParams(query));
  const [name = '', ...rest] = path.split('/');
  const id = decoded(rest.join('/'));
  if (name === '' || name === 'sessions') return { view: id ? 'session' : 'sessions', id, params };
  if ((name === 'events' || name === 'overview') && !id) return { view: name, id, params };
  return { view: 'none', id: '', params };
}

/** Returns the decoded text, or the text itself if its percent-encoding is malformed. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Returns the address of a view, without empty parameters.
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

/** Returns the address of a session. @param {string} id */
export const linkToSession = (id) => linkTo(`sessions/${encodeURIComponent(id)}`);
