/**
 * Lets equal items that arrive in one turn of the event loop share one result. The run starts after the last of them
 * arrived, and nothing is kept. An item that arrives while nothing runs starts at once.
 */
export function sharePerTurn<Item, Result>(
  run: (item: Item) => Promise<Result>,
  keyOf: (item: Item) => string,
): (item: Item) => Promise<Result> {
  let turn: { readonly end: Promise<void>; readonly results: Map<string, Promise<Result>> } | undefined;
  let running = 0;

  function begin() {
    // A map for each turn. One for all would hold on to what was deleted from it: V8 chains the tables a map has outgrown,
    // and a chain in the old space keeps what it refers to until the next full collection.
    const end = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      turn = undefined;
    });
    return { end, results: new Map<string, Promise<Result>>() };
  }

  async function counted(item: Item): Promise<Result> {
    running += 1;
    try {
      return await run(item);
    } finally {
      running -= 1;
    }
  }

  return (item) => {
    if (running === 0 && !turn) return counted(item);
    turn ??= begin();
    const { end, results } = turn;
    const key = keyOf(item);
    const shared = results.get(key);
    if (shared) return shared;
    const result = end.then(() => counted(item));
    results.set(key, result);
    return result;
  };
}
