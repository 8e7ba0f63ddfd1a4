import { createHash } from 'node:crypto';
import { type BatchObserver, batching } from '../batch.js';
import type { Database } from '../engine/database.js';
import { isNotSupported } from '../engine/sqlstate.js';
import type { PageStatement } from './plan.js';

/** The documents of a page in order, as the elements of a JSON array. Each stands on a line of its own. */
export interface Documents {
  readonly count: number;
  /** The documents with the {@link separator} between them, or an empty string. */
  readonly text: string;
  /** Length of the text in UTF-8. */
  readonly bytes: number;
}

/** The text between two documents. A document has no line break, so the separator also splits a page. */
export const separator = ',\n';

/** Reads the documents of a statement. */
export type DocumentsReader = (statement: PageStatement) => Promise<Documents>;

/**
 * Returns a statement that joins the documents of another into one row. A row for each document costs the driver and this
 * process several times as much.
 */
const joinedSql = (text: string) =>
  `SELECT page.count, page.text, octet_length(convert_to(page.text, 'UTF8')) AS bytes FROM (
    SELECT count(*)::integer AS count, coalesce(string_agg(page.document, E',\\n'), '') AS text FROM (${text}) AS page
  ) AS page`;

/**
 * Returns a statement that reads many pages of one shape. `$1` is a JSON array with the values of each page. The result has a
 * row for each page, and `position` is its index in that array, from 1. LATERAL runs the inner statement once for each page.
 */
export function groupedSql(text: string): string {
  const one = joinedSql(text.replace(/\$(\d+)/g, (_, index) => `(p.list ->> ${Number(index) - 1})`));
  return `SELECT p.position::integer, one.*
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS p (list, position), LATERAL (${one}) AS one`;
}

/**
 * Returns a reader of documents. It batches and prepares a frequent statement whose plan fits all values. It runs any other
 * statement alone, so PostgreSQL plans it for its values.
 */
export function documentsReader(database: Database, onBatch?: BatchObserver): DocumentsReader {
  const batches = keepFrequent((text) => {
    // A hash of the text: two readers that share a connection never give one name to two statements.
    const name = `list-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
    const statement = { name, text: groupedSql(text) };
    return batching<readonly unknown[], Documents>({
      maxSize: 32,
      concurrency: 4,
      onBatch: onBatch && ((size) => onBatch('list', size)),
      async run(lists, limit) {
        const rows = await database.query<Documents & { position: number }>({
          ...statement,
          values: [JSON.stringify(lists)],
          ...limit,
        });
        const pages = new Array<Documents>(lists.length);
        for (const row of rows) pages[row.position - 1] = row;
        return pages;
      },
    });
  });

  /** Whether the database can read several pages in one statement. Citus cannot, as its first error shows. */
  let canGroup = true;
  return async ({ text, values, hasOnePlan }) => {
    const batch = hasOnePlan && canGroup ? batches(text) : undefined;
    if (batch) {
      try {
        return await batch(values);
      } catch (error) {
        if (!isNotSupported(error)) throw error;
        canGroup = false;
      }
    }
    const [row] = await database.query<Documents>({ text: joinedSql(text), values });
    return row as Documents;
  };
}

/** Number of uses at which a key is frequent. */
const frequentUses = 5;
/** Maximum number of frequent keys. */
const maxKept = 100;
/** Maximum number of keys with a count of uses. At the limit all counts start again at zero. */
const maxCounted = 1000;

/**
 * Returns a cache that makes and keeps a value for each frequent key, and returns undefined for other keys. Clients choose the
 * shapes of lists, so the cache has a limit: it evicts the least recently used key. A rare shape never evicts a frequent one.
 */
export function keepFrequent<Value>(make: (key: string) => Value): (key: string) => Value | undefined {
  /** The least recently used key comes first. */
  const kept = new Map<string, Value>();
  const counts = new Map<string, number>();
  return (key) => {
    const value = kept.get(key);
    if (value !== undefined) {
      kept.delete(key);
      kept.set(key, value);
      return value;
    }
    const count = (counts.get(key) ?? 0) + 1;
    if (counts.size === maxCounted) counts.clear();
    counts.set(key, count);
    if (count < frequentUses) return undefined;
    counts.delete(key);
    const made = make(key);
    kept.set(key, made);
    if (kept.size > maxKept) kept.delete(kept.keys().next().value as string);
    return made;
  };
}
