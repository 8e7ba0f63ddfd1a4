import type { Readable } from 'node:stream';
import { type Read, readItem } from './import-items.js';

/** Reads the elements of a file: NDJSON line by line, a JSON document whole. */

/** A line or an element, and where it stands. */
export interface Element {
  /** For people: `line 7`. */
  readonly place: string;
  readonly read: Read;
}

/**
 * What a file holds: a JSON value on each line, or one `document`: an array, an object, a list of Stripe's or a page
 * of ours. `either` goes by its first line.
 */
export type FileShape = 'lines' | 'document' | 'either';

/** The elements of a file, in order. */
export async function* elementsOf(input: Readable, shape: FileShape): AsyncGenerator<Element> {
  const lines = numbered(linesOf(input));
  for await (const { number, line } of lines) {
    const value = parse(line);
    if (shape === 'document' || (shape === 'either' && value === undefined && /^\s*[[{]/.test(line))) {
      yield* documentOf([{ number, line }], lines);
      return;
    }
    shape = 'lines';
    yield* spread(value, `line ${number}`, line);
  }
}

interface Line {
  readonly number: number;
  readonly line: string;
}

/** The lines that hold something, with their numbers. */
async function* numbered(lines: AsyncIterable<string>): AsyncGenerator<Line> {
  let number = 0;
  let begun = false;
  for await (const line of lines) {
    number += 1;
    // `npm run export > file` puts npm's own two lines before the export's.
    if (line.trim() === '' || (!begun && line.startsWith('> '))) continue;
    begun = true;
    yield { number, line };
  }
}

async function* documentOf(lines: Line[], rest: AsyncIterable<Line>): AsyncGenerator<Element> {
  for await (const line of rest) lines.push(line);
  const value = parse(lines.map(({ line }) => line).join('\n'));
  const members = membersOf(value);
  if (members) {
    for (const [index, member] of members.entries()) yield* spread(member, `element ${index + 1}`);
  } else if (value === undefined && lines.slice(0, 2).some(({ line }) => parse(line) !== undefined)) {
    // Named as a document, written line by line.
    for (const { number, line } of lines) yield* spread(parse(line), `line ${number}`, line);
  } else {
    yield* spread(value, 'the document');
  }
}

function* spread(value: unknown, place: string, json?: string): Generator<Element> {
  if (value === undefined) {
    yield { place, read: { fault: 'is not JSON' } };
    return;
  }
  const members = membersOf(value);
  if (!members) yield { place, read: readItem(value, json) };
  else for (const [index, member] of members.entries()) yield* spread(member, `${place}, element ${index + 1}`);
}

/** The members of an array, of a list of Stripe's, of a page of this API. */
function membersOf(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (value === null || typeof value !== 'object') return undefined;
  const { object, data, results } = value as Record<string, unknown>;
  if (object === 'list' && Array.isArray(data)) return data;
  return object === undefined && Array.isArray(results) ? results : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Lines as NDJSON has them. Node's readline also ends them at U+2028 and U+2029, which JSON has inside its strings. */
async function* linesOf(input: Readable): AsyncGenerator<string> {
  input.setEncoding('utf8');
  let parts: string[] = [];
  let isStart = true;
  for await (const chunk of input as AsyncIterable<string>) {
    const [head = '', ...lines] = (isStart ? chunk.replace(/^\uFEFF/, '') : chunk).split('\n');
    isStart = false;
    parts.push(head);
    for (const line of lines) {
      yield parts.join('');
      parts = [line];
    }
  }
  yield parts.join('');
}
