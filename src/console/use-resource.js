import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Failure, key, request, settings } from './api.js';

/** Milliseconds between tries while the service is away: from the first to the longest. */
const firstDelay = 2000;
const maxDelay = 15_000;

/** Told when a key is missing or not known any more. @type {Set<() => void>} */
const keyListeners = new Set();

/** @param {() => void} listener */
export function onKeyRefused(listener) {
  keyListeners.add(listener);
  return () => keyListeners.delete(listener);
}

/** Forgets a key that the service does not know, so that it is asked for again. */
export function refuseKey() {
  key.forget();
  settings.needsKey = true;
  for (const listener of keyListeners) listener();
}

/**
 * Asks for a resource, and again on `reload`. While the service is away the last answer stays, and it is asked again by
 * itself.
 *
 * @template Data
 * @param {string} path after `api/`
 * @param {import('./types.js').Params} [params]
 * @returns {{ data: Data | undefined, failure: Failure | undefined, reload: () => void }}
 */
export function useResource(path, params) {
  const resource = JSON.stringify([path, params ?? {}]);
  const [state, setState] = useState(/** @type {{ resource?: string, data?: Data, failure?: Failure }} */ ({}));
  const [reloads, setReloads] = useState(0);
  const delay = useRef(firstDelay);
  const progress = useRef({ isLoading: false, isReloadDue: false });
  // A request under way is not given up for the next one: where changes come fast none would ever be answered.
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
          setState({ resource, data });
        },
        (failure) => {
          if (controller.signal.aborted) return;
          if (!(failure instanceof Failure)) throw failure;
          if (failure.status === 401) refuseKey();
          setState((before) => ({ ...(before.resource === resource ? before : { resource }), failure }));
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

  // An answer to another question is not shown as one to this.
  const isCurrent = state.resource === resource;
  return { data: isCurrent ? state.data : undefined, failure: isCurrent ? state.failure : undefined, reload };
}
