/** Asks the service, with the reader's key. */

/** What the service says of itself in the page's root element. */
export const settings = {
  needsKey: document.documentElement.dataset.needsKey === 'true',
  canRefresh: document.documentElement.dataset.canRefresh === 'true',
  hasChanges: document.documentElement.dataset.hasChanges === 'true',
};

const storageName = 'checkout-sessions-key';

/** The key, for this tab alone: the browser forgets it with the tab. */
export const key = {
  get: () => sessionStorage.getItem(storageName) ?? undefined,
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(storageName, value),
  forget: () => sessionStorage.removeItem(storageName),
};

/** An answer other than success, or none: `status` is 0 then. */
export class Failure extends Error {
  /** @param {number} status @param {{ type?: string, title?: string, detail?: string, request_id?: string }} [problem] */
  constructor(status, problem = {}) {
    super(problem.detail ?? (status === 0 ? 'The service does not answer.' : `The service answered ${status}.`));
    this.status = status;
    this.code = problem.type?.replace('urn:problem:', '') ?? '';
    this.title = problem.title ?? (status === 0 ? 'The service does not answer' : 'The service failed');
    this.requestId = problem.request_id;
    /** Whether the same request may succeed later. A query that took too long would do so again. */
    this.isRetryable = status === 0 || status === 429 || (status >= 500 && this.code !== 'query-timeout');
  }
}

/**
 * Asks for a resource of the API.
 *
 * @param {string} path after `api/`
 * @param {{ params?: import('./types.js').Params, method?: string, signal?: AbortSignal, withKey?: string }} [options]
 * @throws {Failure} for every answer but success
 */
export async function request(path, { params = {}, method = 'GET', signal, withKey = key.get() } = {}) {
  const url = new URL(`../api/${path}`, location.href);
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  url.hash = '';
  /** @type {Response} */
  let response;
  let text = '';
  try {
    const headers = { accept: 'application/json', ...(withKey && { authorization: `Bearer ${withKey}` }) };
    response = await fetch(url, { method, headers, ...(signal && { signal }) });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0);
  }
  const body = parsed(text);
  if (!response.ok) throw new Failure(response.status, body);
  return body;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy may answer with a page of its own.
    return {};
  }
}

/** Returns the cursor of a page's link to another one; empty when there is none. @param {string | null} link */
export const cursorOf = (link) => (link === null ? '' : (new URL(link).searchParams.get('cursor') ?? ''));
