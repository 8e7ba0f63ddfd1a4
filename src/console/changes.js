import { useEffect, useRef } from 'preact/hooks';
import { ask, Failure, settings } from './api.js';

/**
 * Tells the views when sessions have changed. Where the service has a change feed, one long poll for the whole page follows
 * it (a browser's EventSource cannot send a key). Elsewhere the views are told to look again now and then.
 */

/** Seconds that a long poll waits. */
const wait = 25;
/** Milliseconds between two polls, however fast changes come; between looks without a feed; and after a failure. */
const betweenPolls = 1500;
const lookAgain = 20_000;
const afterFailure = 5000;

/** @typedef {{ id: string, type: string, session_id: string, at: string, source: string }} Change */
/** @typedef {(changes: readonly Change[] | undefined) => void} Listener */

/** @type {Set<Listener>} */
const listeners = new Set();
let isFollowing = false;

/** @param {readonly Change[]} [changes] */
function tell(changes) {
  for (const listener of listeners) listener(changes);
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function follow() {
  let cursor = 'now';
  let isFed = settings.hasChanges;
  while (listeners.size > 0) {
    if (!isFed) await pause(lookAgain);
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
      // What has changed meanwhile is not read one by one.
      cursor = 'now';
      if (!isFed) tell();
      continue;
    }
    if (!isFed) {
      tell();
      continue;
    }
    try {
      const page = await ask('changes', { params: cursor === 'now' ? { cursor } : { cursor, wait } });
      // From here on every change is seen. What changed before is looked for once.
      if (cursor === 'now') tell();
      else if (page.results.length > 0) tell(page.results);
      // More changes than a page holds are not read one by one.
      cursor = page.more ? 'now' : page.cursor;
      await pause(betweenPolls);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Distributed tables have no feed.
      if (error.status === 404 || error.status === 501) isFed = false;
      // A cursor that is older than what is kept.
      if (error.status === 410) cursor = 'now';
      await pause(afterFailure);
    }
  }
  isFollowing = false;
}

/**
 * Calls back when sessions may have changed.
 *
 * @param {Listener} listener with the changes; undefined where they are not known
 * @param {boolean} [isWanted] false while the view does not need it
 */
export function useChanges(listener, isWanted = true) {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    if (!isWanted) return undefined;
    /** @type {Listener} */
    const tellLatest = (changes) => latest.current(changes);
    listeners.add(tellLatest);
    if (!isFollowing) {
      isFollowing = true;
      void follow();
    }
    return () => {
      listeners.delete(tellLatest);
    };
  }, [isWanted]);
}
