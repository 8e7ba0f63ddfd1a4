/** Milliseconds between two questions to the database: at least, and at most while nothing changes. */
const minPause = 20;
const maxPause = 200;
/** How much longer the next pause is after a question that found nothing. */
const backoff = 1.5;

/** Why a wait is over: the horizon moved, the time was up, or the reader is to end. */
export type Wake = 'moved' | 'timeout' | 'aborted';

interface Waiting {
  readonly after: number;
  readonly wake: (why: Wake) => void;
}

export type HorizonWatch = ReturnType<typeof watchHorizon>;

/**
 * Tells readers when the horizon moves. Processes share nothing but the database, so this one asks it: right after its own
 * writes, else every 20 ms, and up to 200 ms apart while nothing changes. It asks while a reader waits, and never without.
 */
export function watchHorizon(ask: () => Promise<number>) {
  const waiting = new Set<Waiting>();
  let horizon = 0;
  let pause = minPause;
  let isPolling = false;
  let isNotified = false;
  let polledAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  /** Asks after a time, unless a question is under way. */
  function pollIn(milliseconds: number): void {
    if (isPolling || waiting.size === 0) return;
    clearTimeout(timer);
    timer = setTimeout(poll, Math.max(0, milliseconds)).unref();
  }

  async function poll(): Promise<void> {
    isPolling = true;
    isNotified = false;
    polledAt = performance.now();
    try {
      const before = horizon;
      horizon = await ask();
      pause = horizon === before ? Math.min(pause * backoff, maxPause) : minPause;
    } catch {
      // The database is away: readers wait on, and whoever writes or reads meanwhile is told.
      pause = maxPause;
    }
    isPolling = false;
    for (const one of waiting) if (one.after < horizon) one.wake('moved');
    pollIn(isNotified ? minPause : pause);
  }

  return {
    /** Returns the newest horizon that is known. */
    latest: () => horizon,

    /** Says that this process has written. */
    notifyWrite(): void {
      isNotified = true;
      pause = minPause;
      pollIn(polledAt + minPause - performance.now());
    },

    /** Waits until the horizon is beyond a number, for some milliseconds at most, or until the reader is to end. */
    async wait(after: number, milliseconds: number, signal: AbortSignal): Promise<Wake> {
      if (signal.aborted) return 'aborted';
      if (horizon > after) return 'moved';
      let one: Waiting | undefined;
      let timeout: NodeJS.Timeout | undefined;
      let end: (() => void) | undefined;
      try {
        return await new Promise<Wake>((resolve) => {
          one = { after, wake: resolve };
          waiting.add(one);
          timeout = setTimeout(resolve, milliseconds, 'timeout').unref();
          end = () => resolve('aborted');
          signal.addEventListener('abort', end);
          if (waiting.size === 1) pollIn(polledAt + pause - performance.now());
        });
      } finally {
        clearTimeout(timeout);
        if (one) waiting.delete(one);
        if (end) signal.removeEventListener('abort', end);
        if (waiting.size === 0) clearTimeout(timer);
      }
    },
  };
}
