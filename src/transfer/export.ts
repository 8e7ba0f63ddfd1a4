import {
  type ColumnTypes,
  djstripeIdSequence,
  ledgerTypes,
  liveSessionTypes,
  progressTypes,
  tombstoneTypes,
} from '../database/columns.js';
import type { Database } from '../database/engine/database.js';

/** Exports the database page by page, as lines of JSON that PostgreSQL writes. */

/** The kind of an exported line. */
export type LineKind = 'session' | 'sequence' | 'tombstone' | 'event' | 'progress';

/** A page of lines of one kind, in order. */
export interface LinePage {
  readonly kind: LineKind;
  readonly lines: readonly string[];
}

const pageSize = 500;

/** Rows to export, in the order of a unique key: the primary key, so that its index serves each page. */
interface Source {
  readonly kind: LineKind;
  readonly from: string;
  readonly key: readonly string[];
  /** SQL condition on the rows `s`. */
  readonly where: string;
  /** SQL of a line's columns, from a row `s`. */
  readonly columns: string;
  /** SQL of the line's text, from these columns. */
  readonly line: string;
}

/** Formats a time in UTC with all microseconds, independent of the connection's time zone. */
const timestamp = (name: string) => `to_char(s."${name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Returns the source of a table's whole rows: a line has the kind and all columns. */
function whole(kind: LineKind, types: ColumnTypes, source: Pick<Source, 'from' | 'key'> & Partial<Source>): Source {
  const columns = Object.entries(types).map(([name, type]) =>
    type === 'timestamptz' ? `${timestamp(name)} AS "${name}"` : `s."${name}"`,
  );
  return {
    kind,
    where: 'true',
    columns: `'${kind}' AS kind, ${columns.join(', ')}`,
    line: 'row_to_json(line)::text',
    ...source,
  };
}

const sessions = { from: 'checkout_session', key: ['id'] };
const published: Source = {
  ...sessions,
  kind: 'session',
  where: 's.version <> 0',
  columns: 's.id, s.document',
  line: 'line.document',
};

const everything: readonly Source[] = [
  whole('session', liveSessionTypes, { ...sessions, where: 's.version <> 0' }),
  whole('tombstone', tombstoneTypes, { ...sessions, where: 's.version = 0' }),
  whole('event', ledgerTypes, { from: 'stripe_event', key: ['session_id', 'id'] }),
  whole('progress', progressTypes, { from: 'stripe_progress', key: ['task'] }),
];

function pageSql({ from, key, where, columns, line }: Source, first: boolean): string {
  const keyOf = (row: string) => key.map((name) => `${row}."${name}"`).join(', ');
  const after = key.map((_, index) => `$${index + 2}::text`).join(', ');
  return `SELECT ${line} AS line, ARRAY[${keyOf('line')}]::text[] AS key FROM (
      SELECT ${columns} FROM ${from} AS s WHERE ${where}${first ? '' : ` AND (${keyOf('s')}) > (${after})`}
      ORDER BY ${keyOf('s')} LIMIT $1::bigint
    ) AS line ORDER BY ${keyOf('line')}`;
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

/**
 * Exports the last djstripe_id of the sequence, because a djstripe_id is never reused, even after its session is deleted.
 */
async function* lastDjstripeId(query: Database['query']): AsyncGenerator<LinePage> {
  const lines = await query<{ line: string }>({
    text: `SELECT row_to_json(line)::text AS line
      FROM (SELECT 'sequence' AS kind, last_value AS djstripe_id FROM ${djstripeIdSequence} WHERE is_called) AS line`,
    values: [],
  });
  yield { kind: 'sequence', lines: lines.map(({ line }) => line) };
}

/**
 * Exports all sessions in the contract's form, or everything with `full`, from one snapshot of the database.
 *
 * @param write receives a page. The export reads the next page when it resolves.
 */
export function exportLines(
  database: Database,
  { full }: { full: boolean },
  write: (page: LinePage) => Promise<void>,
): Promise<void> {
  return database.transaction(async (query) => {
    await query({ text: 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', values: [] });
    if (full) for await (const page of lastDjstripeId(query)) await write(page);
    for (const source of full ? everything : [published])
      for await (const page of pagesOf(query, source)) await write(page);
  });
}
