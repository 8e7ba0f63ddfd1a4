/** Milliseconds between two questions to the database: at least, and at most while nothing changes. */
const shortest = 20;
const longest = 200;
/** How much longer the next pause is after a question that found nothing. */
const backoff = 1.5;

/** Why a wait is over: the horizon moved, the time was up, or the reader is to end. */
export type Wake = 'moved' | 'late' | 'ended';

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
  let pause = shortest;
  let isAsking = false;
  let isPoked = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  /** Asks after a time, unless a question is under way. */
  function askIn(milliseconds: number): void {
    if (isAsking || waiting.size === 0) return;
    clearTimeout(timer);
    timer = setTimeout(askNow, Math.max(0, milliseconds)).unref();
  }

  async function askNow(): Promise<void> {
    isAsking = true;
    isPoked = false;
    askedAt = performance.now();
    try {
      const before = horizon;
      horizon = await ask();
      pause = horizon === before ? Math.min(pause * backoff, longest) : shortest;
    } catch {
      // The database is away: readers wait on, and whoever writes or reads meanwhile is told.
      pause = longest;
    }
    isAsking = false;
    for (const one of waiting) if (one.after < horizon) one.wake('moved');
    askIn(isPoked ? shortest : pause);
  }

  return {
    /** Returns the newest horizon that is known. */
    known: () => horizon,

    /** Says that this process has written. */
    poke(): void {
      isPoked = true;
      pause = shortest;
      askIn(askedAt + shortest - performance.now());
    },

    /** Waits until the horizon is beyond a number, for some milliseconds at most, or until the reader is to end. */
    async wait(after: number, milliseconds: number, signal: AbortSignal): Promise<Wake> {
      if (signal.aborted) return 'ended';
      if (horizon > after) return 'moved';
      let one: Waiting | undefined;
      let late: NodeJS.Timeout | undefined;
      let end: (() => void) | undefined;
      try {
        return await new Promise<Wake>((resolve) => {
          one = { after, wake: resolve };
          waiting.add(one);
          late = setTimeout(resolve, milliseconds, 'late').unref();
          end = () => resolve('ended');
          signal.addEventListener('abort', end);
          if (waiting.size === 1) askIn(askedAt + pause - performance.now());
        });
      } finally {
        clearTimeout(late);
        if (one) waiting.delete(one);
        if (end) signal.removeEventListener('abort', end);
        if (waiting.size === 0) clearTimeout(timer);
      }
    },
  };
}
