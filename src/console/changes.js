import { useEffect, useRef } from 'preact/hooks';
import { Failure, request, settings } from './api.js';
import { refuseKey } from './use-resource.js';

/**
 * Notifies the views when sessions change. If the service has a change feed, one long poll follows it for the whole page
 * (a browser's EventSource cannot send a key). Otherwise the views reload every 20 seconds.
 */

/** The wait of a long poll, in seconds. */
const wait = 25;
/** Milliseconds: between two polls, even if changes are frequent; between two reloads without a feed; after a failure. */
const pollPause = 1500;
const reloadPause = 20_000;
const failurePause = 5000;

/** @typedef {{ id: string, type: string, session_id: string, at: string, source: string }} Change */
/** @typedef {(changes: readonly Change[] | undefined) => void} Listener */

/** @type {Set<Listener>} */
const listeners = new Set();
let isFollowing = false;

/** Calls the listeners. @param {readonly Change[]} [changes] undefined if the changes are unknown */
function notify(changes) {
  for (const listener of listeners) listener(changes);
}

/** @param {number} milliseconds */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Follows the changes as long as there are listeners. Pauses while the page is hidden. */
async function followChanges() {
  let cursor = 'now';
  let hasFeed = settings.hasChanges;
  let isLost = false;
  while (listeners.size > 0) {
    if (!hasFeed) await sleep(reloadPause);
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
      // Skip the changes of that time: the views reload instead.
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
      isLost = false;
      // The cursor now covers every later change. Reload the views once, for the changes before it.
      if (cursor === 'now') notify();
      else notify(page.results);
      // Skip a backlog of more than one page: the views reload instead.
      cursor = page.more ? 'now' : page.cursor;
      await sleep(pollPause);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.status === 401) refuseKey();
      // Let the views say once that the service is down. Each view retries by itself from then on.
      if (error.isRetryable && !isLost) notify();
      isLost = error.isRetryable;
      // The database has no change feed: distributed tables have no triggers.
      if (error.status === 404 || error.status === 501) hasFeed = false;
      // The cursor has expired.
      if (error.status === 410) cursor = 'now';
      await sleep(failurePause);
    }
  }
  isFollowing = false;
}

/**
 * Calls the listener when sessions may have changed, and every half minute: an event that changes no session is not in the feed.
 *
 * @param {Listener} listener gets the changes, which may be none, or undefined if the changes are unknown
 * @param {boolean} [isEnabled]
 */
export function useChanges(listener, isEnabled = true) {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    if (!isEnabled) return undefined;
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
  }, [isEnabled]);
}
