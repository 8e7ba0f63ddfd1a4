import { useEffect, useRef } from 'preact/hooks';
import { Failure, request, settings } from './api.js';

/**
 * Tells the views when sessions have changed. Where the service has a change feed, one long poll for the whole page follows
 * it (a browser's EventSource cannot send a key). Elsewhere the views are told to look again now and then.
 */

/** Seconds that a long poll waits. */
const wait = 25;
/** Milliseconds between two polls, however fast changes come; between looks without a feed; and after a failure. */
const pollPause = 1500;
const reloadPause = 20_000;
const failurePause = 5000;

/** @typedef {{ id: string, type: string, session_id: string, at: string, source: string }} Change */
/** @typedef {(changes: readonly Change[] | undefined) => void} Listener */

/** @type {Set<Listener>} */
const listeners = new Set();
let isFollowing = false;

/** @param {readonly Change[]} [changes] */
function notify(changes) {
  for (const listener of listeners) listener(changes);
}

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function followChanges() {
  let cursor = 'now';
  let hasFeed = settings.hasChanges;
  while (listeners.size > 0) {
    if (!hasFeed) await sleep(reloadPause);
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
      // What has changed meanwhile is not read one by one.
      cursor = 'now';
      if (!hasFeed) notify();
      continue;
    }
    if (!hasFeed) {
      notify();
      continue;
    }
    try {
      const page = await request('changes', { params: cursor === 'now' ? { cursor } : { cursor, wait } });
      // From here on every change is seen. What changed before is looked for once.
      if (cursor === 'now') notify();
      else if (page.results.length > 0) notify(page.results);
      // More changes than a page holds are not read one by one.
      cursor = page.more ? 'now' : page.cursor;
      await sleep(pollPause);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Distributed tables have no feed.
      if (error.status === 404 || error.status === 501) hasFeed = false;
      // A cursor that is older than what is kept.
      if (error.status === 410) cursor = 'now';
      await sleep(failurePause);
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
    const notifyLatest = (changes) => latest.current(changes);
    listeners.add(notifyLatest);
    if (!isFollowing) {
      isFollowing = true;
      void followChanges();
    }
    return () => {
      listeners.delete(notifyLatest);
    };
  }, [isWanted]);
}
