import {
  type ColumnTypes,
  djstripeIdSequence,
  ledgerTypes,
  liveSessionTypes,
  progressTypes,
  tombstoneTypes,
} from '../database/columns.js';
import type { Database } from '../database/engine/database.js';

/** Reads everything out, page by page, as lines of JSON that PostgreSQL writes. */

/** What an exported line is of. */
export type LineKind = 'session' | 'sequence' | 'tombstone' | 'event' | 'progress';

/** A page of lines of one kind, in order. */
export interface LinePage {
  readonly kind: LineKind;
  readonly lines: readonly string[];
}

const pageSize = 500;

/** Rows as an export reads them: by their primary key, whose text is unique and whose order is the index's. */
interface Source {
  readonly kind: LineKind;
  readonly from: string;
  readonly key: readonly string[];
  /** The condition of the rows `s`. */
  readonly where: string;
  /** The SQL of the columns of a line, from a row `s`. */
  readonly columns: string;
  /** The SQL of a line, from those columns. */
  readonly line: string;
}

/** In UTC and with all microseconds, whatever the connection's time zone. */
const timestamp = (name: string) => `to_char(s."${name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Whole rows of a table: a line has the kind and all columns. */
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

/** The last number that the sequence gave out: a djstripe_id is not used again, though its session be deleted. */
async function* lastNumber(query: Database['query']): AsyncGenerator<LinePage> {
  const lines = await query<{ line: string }>({
    text: `SELECT row_to_json(line)::text AS line
      FROM (SELECT 'sequence' AS kind, last_value AS djstripe_id FROM ${djstripeIdSequence} WHERE is_called) AS line`,
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
    for (const source of full ? everything : [published])
      for await (const page of pagesOf(query, source)) await write(page);
  });
}
