import { isDeepStrictEqual } from 'node:util';

/**
 * Whether what clients saw of one session at once could have happened one after the other: linearizability, decided by
 * the search of Wing and Gong (1993) with Lowe's memory of what was tried (2017).
 */

/** What a session is at one moment: undefined where there is none. */
export interface State {
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** When Stripe's newest state of it was made; undefined where none came since it was created. */
  readonly second?: number | undefined;
}

export interface Operation {
  /** For people, when there is no order. */
  readonly label: string;
  /** Of one clock: when it was sent, and when its answer was there. */
  readonly start: number;
  readonly end: number;
  /** The state after it, where its answer is right for the state before it; `impossible` where it is not. */
  readonly apply: (state: State | undefined) => State | undefined | typeof impossible;
}

export const impossible = Symbol('impossible');

/** The parts of a tag: of which row, and which state of it. */
export function partsOf(etag: string): { row: number; version: number } {
  const [, row, version] = /^"(\d+)-(\d+)"$/.exec(etag) ?? [];
  return { row: Number(row), version: Number(version) };
}

/** The tag of the next state of the same row. */
export function nextTag(etag: string): string {
  const { row, version } = partsOf(etag);
  return `"${row}-${version + 1}"`;
}

interface Attempt {
  readonly done: bigint;
  readonly state: State | undefined;
  /** The operations in the order that was found. */
  readonly order: readonly number[];
}

/** @returns the operations in an order in which each answer is right, or undefined when there is none. */
export function linearize(operations: readonly Operation[], initial: State | undefined): Operation[] | undefined {
  const all = (1n << BigInt(operations.length)) - 1n;
  const tried = new Set<string>();
  const attempts: Attempt[] = [{ done: 0n, state: initial, order: [] }];
  for (let attempt = attempts.pop(); attempt; attempt = attempts.pop()) {
    const { done, state, order } = attempt;
    if (done === all) return order.map((index) => operations[index] as Operation);
    const key = `${done} ${JSON.stringify(state)}`;
    if (tried.has(key)) continue;
    tried.add(key);
    const rest = operations.flatMap((operation, index) => ((done >> BigInt(index)) & 1n ? [] : [{ operation, index }]));
    // What began after the end of another one that is left comes after it.
    const firstEnd = Math.min(...rest.map(({ operation }) => operation.end));
    for (const { operation, index } of rest) {
      if (operation.start > firstEnd) continue;
      const after = operation.apply(state);
      if (after !== impossible)
        attempts.push({ done: done | (1n << BigInt(index)), state: after, order: [...order, index] });
    }
  }
  return undefined;
}

/** A state that an answer shows is the one that is there. */
export function isSameState(state: State | undefined, etag: string | null, metadata: unknown): boolean {
  return state !== undefined && state.etag === etag && isDeepStrictEqual(state.metadata, metadata);
}
