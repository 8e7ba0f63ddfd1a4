import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ask, Failure, key, settings } from './api.js';

/** Milliseconds between tries while the service is away: from the first to the longest. */
const firstPause = 2000;
const longestPause = 15_000;

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
 * @template Answer
 * @param {string} path after `api/`
 * @param {import('./types.js').Params} [params]
 * @returns {{ answer: Answer | undefined, failure: Failure | undefined, reload: () => void }}
 */
export function useAsk(path, params) {
  const wanted = JSON.stringify([path, params ?? {}]);
  const [state, setState] = useState(/** @type {{ wanted?: string, answer?: Answer, failure?: Failure }} */ ({}));
  const [turn, setTurn] = useState(0);
  const pause = useRef(firstPause);
  const progress = useRef({ isAsking: false, isAskedAgain: false });
  // A request under way is not given up for the next one: where changes come fast none would ever be answered.
  const reload = useCallback(() => {
    if (progress.current.isAsking) progress.current.isAskedAgain = true;
    else setTurn((count) => count + 1);
  }, []);

  useEffect(() => {
    const controller = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    progress.current = { isAsking: true, isAskedAgain: false };
    const [askedPath, askedParams] = JSON.parse(wanted);
    ask(askedPath, { params: askedParams, signal: controller.signal })
      .then(
        (answer) => {
          pause.current = firstPause;
          setState({ wanted, answer });
        },
        (failure) => {
          if (controller.signal.aborted) return;
          if (!(failure instanceof Failure)) throw failure;
          if (failure.status === 401) refuseKey();
          setState((before) => ({ ...(before.wanted === wanted ? before : { wanted }), failure }));
          if (!failure.mayPass) return;
          timer = setTimeout(reload, pause.current);
          pause.current = Math.min(2 * pause.current, longestPause);
        },
      )
      .finally(() => {
        if (controller.signal.aborted) return;
        const { isAskedAgain } = progress.current;
        progress.current = { isAsking: false, isAskedAgain: false };
        if (isAskedAgain) reload();
      });
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [wanted, turn, reload]);

  // An answer to another question is not shown as one to this.
  const isCurrent = state.wanted === wanted;
  return { answer: isCurrent ? state.answer : undefined, failure: isCurrent ? state.failure : undefined, reload };
}
