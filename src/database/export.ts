import { columns } from '../model/session.js';
import { sqlTypes } from './conditions.js';
import type { Database } from './database.js';
import { ledgerTypes, privateTypes, progressTypes, sequence, tombstoneTypes } from './transfer-types.js';

/** Reads everything out, page by page, as lines of JSON that PostgreSQL writes. */

/** What an exported line is of. */
export type LineKind = 'session' | 'sequence' | 'tombstone' | 'event' | 'progress';

/** A page of lines of one kind, in order. */
export interface LinePage {
  readonly kind: LineKind;
  readonly lines: readonly string[];
}

const pageSize = 500;

/** A table as an export reads it: by its primary key, whose text is unique and whose order is the index's. */
interface Source {
  readonly kind: LineKind;
  readonly from: string;
  readonly key: readonly string[];
  /** The SQL of a line. */
  readonly line: string;
}

/** In UTC and with all microseconds, whatever the connection's time zone. */
const timestamp = (name: string) => `to_char(s."${name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

function wholeLine(kind: LineKind, types: Readonly<Record<string, string>>): string {
  const values = Object.entries(types).map(([name, type]) =>
    type === 'timestamptz' ? `${timestamp(name)} AS "${name}"` : `s."${name}"`,
  );
  return `(SELECT row_to_json(line)::text FROM (SELECT '${kind}' AS kind, ${values.join(', ')}) AS line)`;
}

const publishedTypes = Object.fromEntries(columns.map(({ name, kind }) => [name, sqlTypes[kind]]));

const published: Source = { kind: 'session', from: 'checkout_session', key: ['id'], line: 's.document' };

const whole: readonly Source[] = [
  { ...published, line: wholeLine('session', { ...publishedTypes, ...privateTypes }) },
  {
    kind: 'tombstone',
    from: 'checkout_session_tombstone',
    key: ['id'],
    line: wholeLine('tombstone', tombstoneTypes),
  },
  { kind: 'event', from: 'stripe_event', key: ['session_id', 'id'], line: wholeLine('event', ledgerTypes) },
  { kind: 'progress', from: 'stripe_progress', key: ['task'], line: wholeLine('progress', progressTypes) },
];

function pageSql({ from, key, line }: Source, first: boolean): string {
  const names = key.map((name) => `s."${name}"`).join(', ');
  const after = key.map((_, index) => `$${index + 2}::text`).join(', ');
  return `SELECT ${line} AS line, ARRAY[${names}]::text[] AS key FROM ${from} AS s
    ${first ? '' : `WHERE (${names}) > (${after})`} ORDER BY ${names} LIMIT $1::bigint`;
}

async function* pagesOf(query: Database['query'], source: Source): AsyncGenerator<LinePage> {
  let last: readonly string[] | undefined;
  for (;;) {
    const text = pageSql(source, last === undefined);
    const rows = await query<{ line: string; key: string[] }>({ text, values: [pageSize, ...(last ?? [])] });
    if (rows.length > 0) yield { kind: source.kind, lines: rows.map(({ line }) => line) };
    if (rows.length < pageSize) return;
    last = rows.at(-1)?.key;
  }
}

/** The last number that the sequence gave out: a djstripe_id is not used again, though its session be deleted. */
async function* lastNumber(query: Database['query']): AsyncGenerator<LinePage> {
  const lines = await query<{ line: string }>({
    text: `SELECT row_to_json(line)::text AS line
      FROM (SELECT 'sequence' AS kind, last_value AS djstripe_id FROM ${sequence} WHERE is_called) AS line`,
    values: [],
  });
  yield { kind: 'sequence', lines: lines.map(({ line }) => line) };
}

/**
 * Reads all sessions in the contract's shape, or with `full` everything there is, as of one moment.
 *
 * @param write takes a page; the next is read when it has resolved.
 */
export function exportLines(
  database: Database,
  { full }: { full: boolean },
  write: (page: LinePage) => Promise<void>,
): Promise<void> {
  return database.transaction(async (query) => {
    await query({ text: 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', values: [] });
    if (full) for await (const page of lastNumber(query)) await write(page);
    for (const source of full ? whole : [published]) for await (const page of pagesOf(query, source)) await write(page);
  });
}
