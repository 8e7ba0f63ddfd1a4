/** Sends requests to the API, with the reader's key. */

/** The settings of the service, from attributes of the page's root element. */
export const settings = {
  needsKey: document.documentElement.dataset.needsKey === 'true',
  canRefresh: document.documentElement.dataset.canRefresh === 'true',
  hasChanges: document.documentElement.dataset.hasChanges === 'true',
};

const storageName = 'checkout-sessions-key';

/** The key. It is in the session storage, so only this tab has it, and it disappears when the tab is closed. */
export const key = {
  get: () => sessionStorage.getItem(storageName) ?? undefined,
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(storageName, value),
  forget: () => sessionStorage.removeItem(storageName),
};

/** A failed request. `status` is 0 if there was no response. */
export class Failure extends Error {
  /** @param {number} status @param {{ type?: string, title?: string, detail?: string, request_id?: string }} [problem] */
  constructor(status, problem = {}) {
    super(
      problem.detail ?? (status === 0 ? 'The service does not answer.' : `The service answered with status ${status}.`),
    );
    this.status = status;
    this.code = problem.type?.replace('urn:problem:', '') ?? '';
    this.title = problem.title ?? (status === 0 ? 'The service does not answer' : 'The service failed');
    this.requestId = problem.request_id;
    /** Whether the same request may succeed later. A query that timed out would time out again. */
    this.isRetryable = status === 0 || status === 429 || (status >= 500 && this.code !== 'query-timeout');
  }
}

/**
 * Sends a request to the API and returns the parsed JSON of the response.
 *
 * @param {string} path after `api/`
 * @param {{ params?: import('./types.js').Params, method?: string, signal?: AbortSignal, withKey?: string }} [options]
 * @throws {Failure} if there is no response, or if its status is not 2xx
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
  const body = parseJson(text);
  if (!response.ok) throw new Failure(response.status, body);
  return body;
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy may answer with an HTML page.
    return {};
  }
}

/** Returns the cursor in the link to another page, or `''` if there is no link. @param {string | null} link */
export const cursorOf = (link) => (link === null ? '' : (new URL(link).searchParams.get('cursor') ?? ''));
