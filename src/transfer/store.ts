import { djstripeIdSequence } from '../database/columns.js';
import type { Database } from '../database/engine/database.js';
import { importSessionsSql } from './import-sessions.js';
import { importLedgerSql, importProgressSql, importTombstonesSql } from './import-tables.js';

/** Writes imported rows with their djstripe_id, times, versions and stamps. */

/** A row to write. Its JSON goes to PostgreSQL as text, so that no number loses a digit. */
export interface ImportedRow {
  readonly json: string;
  /** For a session: the JSON of its stripe_data, when `json` lacks it. */
  readonly raw?: string | undefined;
  /** For a session: the djstripe_id to keep. */
  readonly djstripeId?: number | undefined;
}

/**
 * The result of a row. `applied`: written. `unchanged`: already stored, or stored in a newer state. `deleted`: not written,
 * because the session was deleted here. `conflict`: not written, because another session has its djstripe_id.
 */
export type RowOutcome = 'applied' | 'unchanged' | 'deleted' | 'conflict';

export interface RowResult {
  readonly outcome: RowOutcome;
  /** The id of the other session with this djstripe_id. */
  readonly holder?: string | null;
  /** The new djstripe_id, when the row was written with another one than its own. */
  readonly newDjstripeId?: string | null;
}

export interface SessionOptions {
  /** Whether to bring back sessions that were deleted here. */
  readonly restore?: boolean;
  /** Whether a row whose djstripe_id another session has gets a new one. A row of a full export never does. */
  readonly renumber?: boolean;
}

// `last_value` is 1 in an unused sequence too: `is_called` tells the two apart.
const moveSequenceSql = `SELECT setval('${djstripeIdSequence}', $1::bigint) FROM ${djstripeIdSequence} AS q
  WHERE $1::bigint > q.last_value OR ($1::bigint = q.last_value AND NOT q.is_called)`;

/**
 * No unique constraint protects djstripe_id. So no other transaction may draw from the sequence or write a session while a
 * group is checked and written. The lock does not block readers, and blocks writers for one group at a time.
 */
const lockSql = 'LOCK TABLE checkout_session IN SHARE ROW EXCLUSIVE MODE';

export type TransferStore = ReturnType<typeof transferStore>;

/** Returns the writes of an import that bypass the guarded upsert of Stripe's states. Each call is one transaction. */
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
     * Writes sessions, no two with the same id or djstripe_id. A row creates a session, or replaces a stored one that is
     * not newer. Moves the sequence past every djstripe_id of the rows.
     *
     * @returns the results in the same order.
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

    /** Writes tombstones. Each deletes its session, unless that was written after the deletion. */
    tombstones(rows: readonly ImportedRow[]): Promise<RowResult[]> {
      return database.transaction(async (query) => {
        await query({ text: lockSql, values: [] });
        return write(importTombstonesSql, rows, query);
      });
    },

    /** Writes the events that the ledger lacks. */
    ledger: (rows: readonly ImportedRow[]) => write(importLedgerSql, rows),

    /** Writes the positions of backfill and catch-up, unless the stored one is newer. */
    progress: (rows: readonly ImportedRow[]) => write(importProgressSql, rows),

    /** Moves the sequence of djstripe_id forward to a value that was used elsewhere. Never moves it back. */
    sequence(djstripeId: number): Promise<RowResult> {
      return database.transaction(async (query) => {
        await query({ text: lockSql, values: [] });
        return { outcome: (await moveSequence(query, djstripeId)) ? 'applied' : 'unchanged' };
      });
    },
  };
}
