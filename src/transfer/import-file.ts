import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { OperatorError } from '../errors.js';
import { withoutEnvelope } from '../stripe/delivery-body.js';
import { type DjstripeOptions, djstripeItem, isDjstripeRow } from './djstripe.js';
import { DjstripeDump, isDumpObject } from './djstripe-dump.js';
import type { ParsedItem } from './import-item.js';
import { parseItem } from './parse-item.js';

/** Reads the entries of a file: NDJSON line by line, a JSON document as a whole. */

/** A parsed value and its place in the source. */
export interface ImportEntry {
  /** Such as `line 7` or `element 3`, for messages. */
  readonly place: string;
  readonly parsed: ParsedItem;
}

/**
 * The form of a file. `lines`: a JSON value on each line. `document`: one JSON document, which is an array, an object, a
 * Stripe list or a page of this API. `either`: the first line decides.
 */
export type FileShape = 'lines' | 'document' | 'either';

/**
 * Reads the entries of a file in order, and unpacks gzip. The sessions of a Django dump come last, because they may refer
 * to any object of it.
 *
 * @throws OperatorError when the file is not JSON at all, or a damaged gzip file.
 */
export async function* readEntries(
  input: Readable,
  shape: FileShape,
  djstripe: DjstripeOptions,
): AsyncGenerator<ImportEntry> {
  const dump = new DjstripeDump(djstripe);
  for await (const { place, value, json } of valuesOf(input, shape)) {
    if (value === undefined) yield { place, parsed: { fault: 'is not JSON' } };
    else if (isDumpObject(value)) dump.add(place, value);
    else yield { place, parsed: parseValue(value, json, djstripe) };
  }
  yield* dump.entries();
}

function parseValue(value: unknown, json: string | undefined, djstripe: DjstripeOptions): ParsedItem {
  if (isRecord(value)) {
    const { event, envelope } = withoutEnvelope(value);
    if (envelope) return parseItem(event);
    if (isDjstripeRow(value)) return djstripeItem(value, djstripe);
  }
  return parseItem(value, json);
}

interface PlacedValue {
  readonly place: string;
  /** Undefined where the text is not JSON. */
  readonly value: unknown;
  readonly json?: string;
}

async function* valuesOf(input: Readable, shape: FileShape): AsyncGenerator<PlacedValue> {
  const lines = numbered(linesOf(unzipped(input)));
  let isFirst = true;
  for await (const { number, line } of lines) {
    const value = parse(line);
    if (isFirst && value === undefined && !/^\s*[[{]/.test(line)) throw new OperatorError(notImportable(line));
    isFirst = false;
    if (shape === 'document' || (shape === 'either' && value === undefined)) {
      yield* documentOf([{ number, line }], lines);
      return;
    }
    shape = 'lines';
    yield* spread(value, `line ${number}`, line);
  }
}

/** Patterns of the first line of files that are not JSON. */
const otherFormats: readonly (readonly [RegExp, string])[] = [
  [/^PK/, 'a ZIP archive'],
  [/^PAR1/, 'a Parquet file'],
  [/^SQLite format 3/, 'an SQLite database'],
  [/^PGDMP/, 'a dump of PostgreSQL'],
  [/^\s*(--|CREATE |INSERT |COPY |SET )/i, 'SQL'],
  [/^\s*</, 'XML or HTML'],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters tell binary from text.
  [/[\0-\x08\uFFFD]/, 'a binary file'],
  [/[,;\t]/, 'CSV'],
];

function notImportable(line: string): string {
  const name = otherFormats.find(([pattern]) => pattern.test(line))?.[1] ?? 'text';
  return `This is ${name}, not JSON. Import takes a JSON document or a JSON value on each line, gzipped or not; see --help.`;
}

interface Line {
  readonly number: number;
  readonly line: string;
}

/** Numbers the lines and skips the empty ones. */
async function* numbered(lines: AsyncIterable<string>): AsyncGenerator<Line> {
  let number = 0;
  let hasBegun = false;
  for await (const line of lines) {
    number += 1;
    // Skip npm's own two lines at the start: `npm run export > file` without --silent writes them.
    if (line.trim() === '' || (!hasBegun && line.startsWith('> '))) continue;
    hasBegun = true;
    yield { number, line };
  }
}

/** Yields the values of one JSON document, which ends with the file. */
async function* documentOf(lines: Line[], rest: AsyncIterable<Line>): AsyncGenerator<PlacedValue> {
  for await (const line of rest) lines.push(line);
  const value = parse(lines.map(({ line }) => line).join('\n'));
  const members = membersOf(value);
  if (members) {
    for (const [index, member] of members.entries()) yield* spread(member, `element ${index + 1}`);
  } else if (value === undefined && lines.slice(0, 2).some(({ line }) => parse(line) !== undefined)) {
    // The name says document, but the content is NDJSON.
    for (const { number, line } of lines) yield* spread(parse(line), `line ${number}`, line);
  } else {
    yield* spread(value, 'the document');
  }
}

/** Yields the members of a list or a page, and any other value itself. */
function* spread(value: unknown, place: string, json?: string): Generator<PlacedValue> {
  const members = membersOf(value);
  if (!members) yield { place, value, ...(json !== undefined && { json }) };
  else for (const [index, member] of members.entries()) yield* spread(member, `${place}, element ${index + 1}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Returns the members of an array, a Stripe list or a page of this API; undefined for any other value. */
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

/** Splits at `\n`. Node's readline also splits at U+2028 and U+2029, which JSON strings may contain. */
async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const text = Readable.from(input, { objectMode: false }).setEncoding('utf8');
  let parts: string[] = [];
  let isStart = true;
  for await (const chunk of text as AsyncIterable<string>) {
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

/** Returns the bytes of a file. Unpacks gzip, which its first two bytes tell, whatever the file's name. */
async function* unzipped(input: Readable): AsyncGenerator<Buffer> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { done, value } = await chunks.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* whole(): AsyncGenerator<Buffer> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole();
    return;
  }
  const gunzip = createGunzip();
  // The iteration below throws the failure.
  pipeline(Readable.from(whole()), gunzip, () => {});
  try {
    yield* gunzip;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code?.startsWith('Z_') ? new OperatorError(`The gzip file is damaged or cut off: ${message}.`) : error;
  }
}
