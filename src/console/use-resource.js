import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Failure, key, request, settings } from './api.js';

/** Backoff while the service is down, in milliseconds: the first delay and the longest. */
const firstDelay = 2000;
const maxDelay = 15_000;

/** The listeners for a missing or invalid key. @type {Set<() => void>} */
const keyListeners = new Set();

/**
 * Calls the listener when the service refuses the key. Returns a function that removes the listener.
 *
 * @param {() => void} listener
 */
export function onKeyRefused(listener) {
  keyListeners.add(listener);
  return () => keyListeners.delete(listener);
}

/** The last answers, by resource. A view that opens again shows its answer while it loads. @type {Map<string, unknown>} */
const answers = new Map();
const maxAnswers = 20;

/** @param {string} resource @param {unknown} data */
function keepAnswer(resource, data) {
  answers.delete(resource);
  answers.set(resource, data);
  const [oldest = ''] = answers.keys();
  if (answers.size > maxAnswers) answers.delete(oldest);
}

/** Forgets the key, and everything that was read with it. */
export function forgetKey() {
  key.forget();
  answers.clear();
}

/** Forgets a key that the service refused. The page then shows the form for the key. */
export function refuseKey() {
  forgetKey();
  settings.needsKey = true;
  for (const listener of keyListeners) listener();
}

/**
 * Loads a resource, and loads it again on `reload`. Until then it returns the last answer of the same resource, if there is one.
 * If the request fails, the last data stays unless it is gone (404), and the hook retries with backoff as long as a retry may
 * help.
 *
 * @template Data
 * @param {string} path after `api/`
 * @param {import('./types.js').Params} [params]
 * @returns {{ data: Data | undefined, failure: Failure | undefined, reload: () => void }}
 */
export function useResource(path, params) {
  const resource = JSON.stringify([path, params ?? {}]);
  const [state, setState] = useState(/** @type {{ resource?: string, failure?: Failure }} */ ({}));
  const [reloads, setReloads] = useState(0);
  const delay = useRef(firstDelay);
  const progress = useRef({ isLoading: false, isReloadDue: false });
  // Let a request in flight finish before the next: with frequent changes no request would ever finish otherwise.
  const reload = useCallback(() => {
    if (progress.current.isLoading) progress.current.isReloadDue = true;
    else setReloads((count) => count + 1);
  }, []);

  useEffect(() => {
    const controller = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    progress.current = { isLoading: true, isReloadDue: false };
    const [requestPath, requestParams] = JSON.parse(resource);
    request(requestPath, { params: requestParams, signal: controller.signal })
      .then(
        (data) => {
          delay.current = firstDelay;
          keepAnswer(resource, data);
          setState({ resource });
        },
        (failure) => {
          if (controller.signal.aborted) return;
          if (!(failure instanceof Failure)) throw failure;
          if (failure.status === 401) refuseKey();
          if (failure.status === 404) answers.delete(resource);
          setState({ resource, failure });
          if (!failure.isRetryable) return;
          timer = setTimeout(reload, delay.current);
          delay.current = Math.min(2 * delay.current, maxDelay);
        },
      )
      .finally(() => {
        if (controller.signal.aborted) return;
        const { isReloadDue } = progress.current;
        progress.current = { isLoading: false, isReloadDue: false };
        if (isReloadDue) reload();
      });
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [resource, reloads, reload]);

  const data = /** @type {Data | undefined} */ (answers.get(resource));
  // Do not return the failure of the previous resource.
  return { data, failure: state.resource === resource ? state.failure : undefined, reload };
}
