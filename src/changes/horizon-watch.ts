/** Milliseconds between two queries of the horizon: the minimum, and the maximum after backoff. */
const minPause = 20;
const maxPause = 200;
/** Factor of the pause after a query that found no new horizon. */
const backoff = 1.5;

/** The reason why a wait ended: the horizon moved, the time ran out, or the reader was aborted. */
export type Wake = 'moved' | 'timeout' | 'aborted';

interface Waiter {
  readonly after: number;
  readonly wake: (reason: Wake) => void;
}

export type HorizonWatch = ReturnType<typeof watchHorizon>;

/**
 * Wakes readers when the horizon moves. Processes share only the database, so this one polls it: right after its own
 * writes, otherwise every 20 ms, backing off to 200 ms while nothing changes. It polls only while a reader waits.
 */
export function watchHorizon(readHorizon: () => Promise<number>) {
  const waiters = new Set<Waiter>();
  let horizon = 0;
  let pause = minPause;
  let isPolling = false;
  /** Whether this process wrote since the last poll started. */
  let isNotified = false;
  let polledAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  /** Schedules a poll if a reader waits. A poll in flight schedules the next one itself. */
  function pollIn(milliseconds: number): void {
    if (isPolling || waiters.size === 0) return;
    clearTimeout(timer);
    timer = setTimeout(poll, Math.max(0, milliseconds)).unref();
  }

  async function poll(): Promise<void> {
    isPolling = true;
    isNotified = false;
    polledAt = performance.now();
    try {
      const before = horizon;
      horizon = await readHorizon();
      pause = horizon === before ? Math.min(pause * backoff, maxPause) : minPause;
    } catch {
      // The database is unavailable. Readers keep waiting; requests that read or write report the failure.
      pause = maxPause;
    }
    isPolling = false;
    for (const waiter of waiters) if (waiter.after < horizon) waiter.wake('moved');
    pollIn(isNotified ? minPause : pause);
  }

  return {
    /** Returns the newest horizon that a poll has read. */
    latest: () => horizon,

    /** Polls soon, because this process has written. */
    notifyWrite(): void {
      isNotified = true;
      pause = minPause;
      pollIn(polledAt + minPause - performance.now());
    },

    /** Waits until the horizon is greater than `after`, the milliseconds run out, or the signal is aborted. */
    async wait(after: number, milliseconds: number, signal: AbortSignal): Promise<Wake> {
      if (signal.aborted) return 'aborted';
      if (horizon > after) return 'moved';
      let waiter: Waiter | undefined;
      let timeout: NodeJS.Timeout | undefined;
      let abort: (() => void) | undefined;
      try {
        return await new Promise<Wake>((resolve) => {
          waiter = { after, wake: resolve };
          waiters.add(waiter);
          timeout = setTimeout(resolve, milliseconds, 'timeout').unref();
          abort = () => resolve('aborted');
          signal.addEventListener('abort', abort);
          if (waiters.size === 1) pollIn(polledAt + pause - performance.now());
        });
      } finally {
        clearTimeout(timeout);
        if (waiter) waiters.delete(waiter);
        if (abort) signal.removeEventListener('abort', abort);
        if (waiters.size === 0) clearTimeout(timer);
      }
    },
  };
}
