import { isDeepStrictEqual } from 'node:util';

/**
 * Decides whether concurrent operations on one session are linearizable: whether some sequential order explains every
 * answer. Uses the search of Wing and Gong (1993) with Lowe's memory of visited states (2017).
 */

/** The state of a session at one moment. Undefined means that it does not exist. */
export interface State {
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The second of Stripe's newest state, or undefined if none arrived since the session was created. */
  readonly second?: number | undefined;
}

export interface Operation {
  /** Shown when no order is found. */
  readonly label: string;
  /** Times on one clock: when the request was sent, and when its answer arrived. */
  readonly start: number;
  readonly end: number;
  /** Returns the state after the operation, or `impossible` when its answer contradicts the state before it. */
  readonly apply: (state: State | undefined) => State | undefined | typeof impossible;
}

export const impossible = Symbol('impossible');

/** Returns the row and version that an ETag encodes. */
export function partsOf(etag: string): { row: number; version: number } {
  const [, row, version] = /^"(\d+)-(\d+)"$/.exec(etag) ?? [];
  return { row: Number(row), version: Number(version) };
}

/** Returns the ETag of the next state of the same row. */
export function nextTag(etag: string): string {
  const { row, version } = partsOf(etag);
  return `"${row}-${version + 1}"`;
}

interface Attempt {
  readonly done: bigint;
  readonly state: State | undefined;
  /** The indexes of the operations done so far, in order. */
  readonly order: readonly number[];
}

/** Returns the operations in an order that explains every answer, or undefined if there is none. */
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
    // An operation that started after another one ended must follow it.
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

/** Returns whether an answer shows the current state. */
export function isSameState(state: State | undefined, etag: string | null, metadata: unknown): boolean {
  return state !== undefined && state.etag === etag && isDeepStrictEqual(state.metadata, metadata);
}
