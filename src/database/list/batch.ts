import { createHash } from 'node:crypto';
import { type BatchObserver, batching } from '../batch.js';
import type { Database } from '../engine/database.js';
import { isNotSupported } from '../engine/sqlstate.js';
import type { PageStatement } from './plan.js';

/** Documents in their order, as they stand in a JSON array: a line each, so that they can be told apart. */
export interface Documents {
  readonly count: number;
  /** Empty when there are none. */
  readonly text: string;
  /** Of the text in UTF-8. */
  readonly bytes: number;
}

/** What stands between two documents. */
export const separator = ',\n';

/** Resolves to the documents of a statement. */
export type DocumentsReader = (statement: PageStatement) => Promise<Documents>;

/** One row for a page of any size: a row for each document costs the driver, and this process, several times as much. */
const joined = (text: string) =>
  `SELECT page.count, page.text, octet_length(convert_to(page.text, 'UTF8')) AS bytes FROM (
    SELECT count(*)::integer AS count, coalesce(string_agg(page.document, E',\\n'), '') AS text FROM (${text}) AS page
  ) AS page`;

/**
 * A statement for any number of lists of values in place of one: `$1` is a JSON array of them. Each page is one row;
 * `position` tells whose.
 */
export function groupedSql(text: string): string {
  const one = joined(text.replace(/\$(\d+)/g, (_, index) => `(p.list ->> ${Number(index) - 1})`));
  return `SELECT p.position::integer, one.*
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS p (list, position), LATERAL (${one}) AS one`;
}

/**
 * Reads documents. A statement that is asked for often and has one plan is prepared, and run for many lists of values
 * together.
 */
export function documentsReader(database: Database, onBatch?: BatchObserver): DocumentsReader {
  const batches = keepFrequent((text) => {
    // Of the text alone: two that share a connection never give one name to two statements.
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

  /** Whether the database can read several lists in one statement. Citus cannot. */
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
    const [row] = await database.query<Documents>({ text: joined(text), values });
    return row as Documents;
  };
}

const uses = 5;
const maxKept = 100;
const maxCounted = 1000;

/**
 * Makes something for each key that is asked for often, and keeps it; undefined for the others. Clients choose the shapes
 * of lists, so the number kept has a bound. What was not asked for the longest gives way, and a shape that is asked for
 * rarely takes no place.
 */
export function keepFrequent<Value>(make: (key: string) => Value): (key: string) => Value | undefined {
  /** In the order of their last use. */
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
    if (count < uses) return undefined;
    counts.delete(key);
    const made = make(key);
    kept.set(key, made);
    if (kept.size > maxKept) kept.delete(kept.keys().next().value as string);
    return made;
  };
}
