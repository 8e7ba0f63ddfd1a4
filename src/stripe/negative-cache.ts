/** Remembers for 30 seconds what Stripe does not have, so that repeated reads do not reach Stripe. */
export interface NegativeCache {
  has(key: string): boolean;
  add(key: string): void;
}

/** Milliseconds. */
const lifetime = 30_000;
/** Maximum number of keys. A new key evicts the oldest. */
const maxKeys = 10_000;

export function createNegativeCache(now: () => number = Date.now): NegativeCache {
  const expiries = new Map<string, number>();
  return {
    has(key) {
      return (expiries.get(key) ?? 0) > now();
    },
    add(key) {
      // A Map iterates in insertion order, so its first key is the oldest.
      expiries.delete(key);
      expiries.set(key, now() + lifetime);
      for (const oldest of expiries.keys()) {
        if (expiries.size <= maxKeys) return;
        expiries.delete(oldest);
      }
    },
  };
}
