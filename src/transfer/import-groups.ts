import type { ImportItem } from './import-item.js';

/** An item and its place in the source. */
export interface PlacedItem {
  readonly place: string;
  readonly item: ImportItem;
}

/** Items in a group: each group is one transaction. */
const groupSize = 500;

/**
 * Collects items into groups of one kind, with no two of the same session or djstripe_id. Writes one group at a time, while
 * the caller collects the next one.
 */
export function groupedWriter(write: (group: readonly PlacedItem[]) => Promise<void>) {
  let group: PlacedItem[] = [];
  let keys = new Set<string | number>();
  let writing: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    const full = group;
    group = [];
    keys = new Set();
    await writing;
    writing = write(full);
    // The next flush awaits it. Until then this keeps a failure from being an unhandled rejection.
    writing.catch(() => {});
  }

  return {
    /** Adds an item. Throws when the write of an earlier group failed. */
    async add(placed: PlacedItem): Promise<void> {
      const { kind, key, djstripeId } = placed.item;
      const fits =
        group.length < groupSize &&
        (group[0] === undefined || group[0].item.kind === kind) &&
        !keys.has(key) &&
        (djstripeId === undefined || !keys.has(djstripeId));
      if (!fits) await flush();
      group.push(placed);
      keys.add(key);
      if (djstripeId !== undefined) keys.add(djstripeId);
    },

    /** Writes the last group, and resolves when all groups are written. */
    async end(): Promise<void> {
      await flush();
      await writing;
    },
  };
}
