import { djstripeIdSequence } from '../database/columns.js';
import type { Database } from '../database/engine/database.js';
import { importSessionsSql } from './import-sessions.js';
import { importLedgerSql, importProgressSql, importTombstonesSql } from './import-tables.js';

/** Writes whole rows that were made elsewhere: their djstripe_id, times, versions and stamps are kept. */

/** A row to write: JSON text of its columns, which is passed through, so that no number loses a digit. */
export interface ImportedRow {
  readonly json: string;
  /** Of a session: the JSON text of its stripe_data, where `json` does not hold it. */
  readonly raw?: string | undefined;
  /** Of a session: the djstripe_id to keep. */
  readonly djstripeId?: number | undefined;
}

/**
 * What became of a row: written; here already, or newer here; of a session that was deleted here; not written
 * because another session has its djstripe_id.
 */
export type RowOutcome = 'applied' | 'unchanged' | 'deleted' | 'conflict';

export interface RowResult {
  readonly outcome: RowOutcome;
  /** The id of the session that has the djstripe_id. */
  readonly holder?: string | null;
  /** The djstripe_id that the session has here in place of its own, where it was written without that. */
  readonly number?: string | null;
}

export interface SessionOptions {
  /** Whether sessions that were deleted here come back. */
  readonly restore?: boolean;
  /** Whether a row whose djstripe_id another session has is written under another number. A full export's never is. */
  readonly renumber?: boolean;
}

// A sequence that was never used says 1, as one that gave 1 out does.
const moveSequenceSql = `SELECT setval('${djstripeIdSequence}', $1::bigint) FROM ${djstripeIdSequence} AS q
  WHERE $1::bigint > q.last_value OR ($1::bigint = q.last_value AND NOT q.is_called)`;

/**
 * No unique constraint keeps djstripe_id unique, so nothing may take a number of the sequence or write a session
 * while a group is checked and written. Readers are not held up, and writers for the time of one group.
 */
const lockSql = 'LOCK TABLE checkout_session IN SHARE ROW EXCLUSIVE MODE';

export type TransferStore = ReturnType<typeof transferStore>;

/** What an import writes past the guarded upsert of Stripe's states. Each call is one transaction. */
export function transferStore(database: Database) {
  function write(
    text: string,
    rows: readonly ImportedRow[],
    query = database.query,
    ...more: readonly unknown[]
  ): Promise<RowResult[]> {
    return query<RowResult>({ text, values: [`[${rows.map(({ json }) => json).join(',')}]`, ...more] });
  }

  async function moveSequence(query: Database['query'], djstripeId: number): Promise<boolean> {
    return (await query({ text: moveSequenceSql, values: [djstripeId] })).length > 0;
  }

  return {
    /**
     * Writes sessions, no two of the same id or djstripe_id: what is new, and in the place of a stored session what
     * is not older than it. The sequence is moved past every djstripe_id that is kept.
     *
     * @returns what became of each, in their order.
     */
    sessions(
      rows: readonly ImportedRow[],
      { restore = false, renumber = false }: SessionOptions = {},
    ): Promise<RowResult[]> {
      const greatest = Math.max(0, ...rows.map(({ djstripeId = 0 }) => djstripeId));
      return database.transaction(async (query) => {
        await query({ text: lockSql, values: [] });
        if (greatest > 0) await moveSequence(query, greatest);
        return write(importSessionsSql, rows, query, restore, renumber, rows.map(({ raw = '' }) => raw).join('\n'));
      });
    },

    /** Writes tombstones, and deletes the sessions that were not written since. */
    tombstones(rows: readonly ImportedRow[]): Promise<RowResult[]> {
      return database.transaction(async (query) => {
        await query({ text: lockSql, values: [] });
        return write(importTombstonesSql, rows, query);
      });
    },

    /** Writes the ledger's entries that are not there. */
    ledger: (rows: readonly ImportedRow[]) => write(importLedgerSql, rows),

    /** Writes where the command line left off, unless it has gone on here since. */
    progress: (rows: readonly ImportedRow[]) => write(importProgressSql, rows),

    /** Moves the sequence of djstripe_id to a number that was given out elsewhere; never back. */
    sequence(djstripeId: number): Promise<RowResult> {
      return database.transaction(async (query) => {
        await query({ text: lockSql, values: [] });
        return { outcome: (await moveSequence(query, djstripeId)) ? 'applied' : 'unchanged' };
      });
    },
  };
}
