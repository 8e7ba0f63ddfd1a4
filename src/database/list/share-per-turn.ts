/**
 * Returns a function that lets equal items of one turn of the event loop share a result.
 *
 * Node runs the callbacks of all requests that have arrived, then the setImmediate callbacks. So a run that starts in
 * setImmediate starts after the last equal item of the turn, and reads no state older than its requests. No result is kept
 * after its turn. An item that arrives while no run is in flight starts at once, and nothing shares its result.
 */
export function sharePerTurn<Item, Result>(
  run: (item: Item) => Promise<Result>,
  keyOf: (item: Item) => string,
): (item: Item) => Promise<Result> {
  let turn: { readonly end: Promise<void>; readonly results: Map<string, Promise<Result>> } | undefined;
  let runsInFlight = 0;

  function startTurn() {
    const end = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      turn = undefined;
    });
    // A new map for each turn. V8 chains the tables that a map has outgrown. In one map for all turns, a chain in the old
    // space would keep deleted results alive until the next full garbage collection.
    return { end, results: new Map<string, Promise<Result>>() };
  }

  async function countedRun(item: Item): Promise<Result> {
    runsInFlight += 1;
    try {
      return await run(item);
    } finally {
      runsInFlight -= 1;
    }
  }

  return (item) => {
    if (runsInFlight === 0 && !turn) return countedRun(item);
    turn ??= startTurn();
    const { end, results } = turn;
    const key = keyOf(item);
    const shared = results.get(key);
    if (shared) return shared;
    const result = end.then(() => countedRun(item));
    results.set(key, result);
    return result;
  };
}
