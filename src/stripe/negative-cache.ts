/** Remembers for a while what Stripe does not have, so that a client that asks again and again does not ask Stripe. */
export interface NegativeCache {
  has(key: string): boolean;
  add(key: string): void;
}

/** Milliseconds. */
const lifetime = 30_000;
/** Keys at most; the oldest give way. */
const maxKeys = 10_000;

export function createNegativeCache(now: () => number = Date.now): NegativeCache {
  const ends = new Map<string, number>();
  return {
    has(key) {
      return (ends.get(key) ?? 0) > now();
    },
    add(key) {
      // A map keeps the order of insertion: the first key is the oldest.
      ends.delete(key);
      ends.set(key, now() + lifetime);
      for (const oldest of ends.keys()) {
        if (ends.size <= maxKeys) return;
        ends.delete(oldest);
      }
    },
  };
}
