import { createHash } from 'node:crypto';

/** The name under which a statement is prepared on every connection that runs it; undefined when it is not. */
export type NameOf = (text: string) => string | undefined;

const uses = 5;
const maxPrepared = 100;
const maxCounted = 1000;

/**
 * Names the statements that are asked for often. Clients choose the shapes of lists, and what is prepared takes memory
 * of every connection until it ends: so there is a bound, and what is rare does not use it up.
 */
export function frequent(): NameOf {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  return (text) => {
    const name = names.get(text);
    if (name !== undefined || names.size === maxPrepared) return name;
    const count = (counts.get(text) ?? 0) + 1;
    if (counts.size === maxCounted) counts.clear();
    counts.set(text, count);
    if (count < uses) return undefined;
    counts.delete(text);
    // Of the text alone: two that share a connection never give one name to two statements.
    names.set(text, `list-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`);
    return names.get(text);
  };
}
