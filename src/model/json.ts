import type { Fault } from '../errors.js';

/** Levels of nesting that a body may have: far past any Stripe object, far before any stack. */
const maxDepth = 64;

/** Why PostgreSQL cannot hold a text, or undefined when it can. */
export function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'holds U+0000, which PostgreSQL cannot store';
  if (!text.isWellFormed()) return 'holds half of a surrogate pair, which is no text';
  return undefined;
}

/** One step down an RFC 6901 pointer. */
export function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Whether a value is nested deeper than {@link maxDepth}. */
export function isTooDeep(value: unknown, depth = 0): boolean {
  if (value === null || typeof value !== 'object') return false;
  return depth === maxDepth || Object.values(value).some((member) => isTooDeep(member, depth + 1));
}

/**
 * The places of a parsed JSON body that the database could not hold: U+0000, lone surrogates, numbers
 * past a double (JSON.parse makes them Infinity), nesting past {@link maxDepth}.
 */
export function storageFaults(value: unknown, pointer = '', depth = 0): Fault[] {
  const fault = (detail: string): Fault[] => [{ in: 'body', pointer, detail }];
  if (typeof value === 'string') {
    const detail = textFault(value);
    return detail === undefined ? [] : fault(detail);
  }
  if (typeof value === 'number') return Number.isFinite(value) ? [] : fault('is a number too large to store');
  if (value === null || typeof value !== 'object') return [];
  if (depth === maxDepth) return fault(`is nested deeper than ${maxDepth} levels`);
  return Object.entries(value).flatMap(([key, member]) => {
    const place = pointerTo(pointer, key);
    const detail = textFault(key);
    if (detail !== undefined) return [{ in: 'body' as const, pointer, detail: `has a key that ${detail}` }];
    return storageFaults(member, place, depth + 1);
  });
}
