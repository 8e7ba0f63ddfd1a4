/** Milliseconds between two batches of runs. A busy process is called later: the time that has passed counts. */
const tick = 10;

/**
 * Runs some work at a steady rate. On a slow machine it keeps to the limit of runs in flight, and does not pile them up.
 *
 * @param {number} rate runs per second @param {number} maxInFlight @param {() => Promise<unknown>} work
 * @returns {() => Promise<unknown>} stops, and waits for the runs in flight
 */
export function startAtRate(rate, maxInFlight, work) {
  const inFlight = new Set();
  let due = 0;
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    due = Math.min(due + (rate * (now - before)) / 1000, maxInFlight);
    before = now;
    for (; due >= 1 && inFlight.size < maxInFlight; due -= 1) {
      const run = work().finally(() => inFlight.delete(run));
      inFlight.add(run);
    }
  }, tick);
  return () => {
    clearInterval(timer);
    return Promise.all(inFlight);
  };
}
