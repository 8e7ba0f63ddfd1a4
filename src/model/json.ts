import type { Fault } from '../errors.js';

/** The nesting levels that a body may have: more than any Stripe object has, and too few to overflow the stack. */
const maxDepth = 64;

/** Returns why PostgreSQL cannot store a text, or undefined if it can. */
export function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'contains U+0000, which PostgreSQL cannot store';
  if (!text.isWellFormed()) return 'contains half of a surrogate pair, which is not valid Unicode';
  return undefined;
}

/** Appends a key or an index to an RFC 6901 pointer. */
export function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Returns whether a value has more than {@link maxDepth} levels of nesting. */
export function isTooDeep(value: unknown, depth = 0): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (depth === maxDepth) return true;
  for (const member of Object.values(value)) if (isTooDeep(member, depth + 1)) return true;
  return false;
}

/**
 * Returns the faults of a parsed JSON body that the database cannot store: U+0000, lone surrogates, numbers beyond a
 * double (JSON.parse returns Infinity for them), and more than {@link maxDepth} levels of nesting.
 */
export function storageFaults(body: unknown): Fault[] {
  const faults: Fault[] = [];
  const path: string[] = [];
  const fault = (detail: string) => faults.push({ in: 'body', pointer: path.reduce(pointerTo, ''), detail });

  function visit(value: unknown): void {
    if (typeof value === 'string') {
      const detail = textFault(value);
      if (detail !== undefined) fault(detail);
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) fault('is a number too large to store');
    } else if (value !== null && typeof value === 'object') {
      if (path.length === maxDepth) fault(`is nested deeper than ${maxDepth} levels`);
      else for (const [key, member] of Object.entries(value)) visitMember(key, member);
    }
  }

  function visitMember(key: string, member: unknown): void {
    const detail = textFault(key);
    if (detail !== undefined) {
      fault(`has a key that ${detail}`);
      return;
    }
    path.push(key);
    visit(member);
    path.pop();
  }

  visit(body);
  return faults;
}
