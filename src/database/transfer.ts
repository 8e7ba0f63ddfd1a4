import { columns, writableColumns } from '../model/session.js';
import { sqlTypes } from './conditions.js';
import type { Database } from './database.js';
import { retrying } from './failures.js';
import { type MirrorStore, mirrorStore, stampOf, stripeTypes } from './mirror.js';
import { lockSession } from './session-writes.js';

/** Writes whole rows that were made elsewhere: their djstripe_id, times, versions and stamps are kept. */

/** What a session has beside its published columns, and of which type. `document` follows from the published ones. */
export const privateTypes = { version: 'integer', ...stripeTypes } as const;

/** The columns of the other tables that are moved with the sessions. */
export const ledgerTypes = {
  session_id: 'text',
  id: 'text',
  type: 'text',
  account: 'text',
  livemode: 'boolean',
  api_version: 'text',
  created: 'timestamptz',
  received_at: 'timestamptz',
  outcome: 'text',
} as const;
export const tombstoneTypes = { id: 'text', deleted_at: 'timestamptz' } as const;
export const progressTypes = { task: 'text', state: 'jsonb', updated_at: 'timestamptz' } as const;

/** A row to write: JSON text of its columns, which is passed through, so that no number loses a digit. */
export interface ImportedRow {
  readonly json: string;
  /** Of a session: the djstripe_id to keep. */
  readonly djstripeId?: number | undefined;
}

/**
 * What became of a row: written; here already, or newer here; of a session that was deleted here; not written
 * because another session has its djstripe_id.
 */
export type RowOutcome = 'applied' | 'unchanged' | 'deleted' | 'taken';

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

export const sequence = 'checkout_session_djstripe_id_seq';

const names = (types: object) => Object.keys(types).map((name) => `"${name}"`);
const definitions = (types: object) => Object.entries(types).map(([name, type]) => `"${name}" ${type}`);

function recordset(types: object): string {
  return `ROWS FROM (jsonb_to_recordset($1::jsonb) AS (${definitions(types).join(', ')})) WITH ORDINALITY
    AS r (${names(types).join(', ')}, position)`;
}

const sessionTypes = {
  ...Object.fromEntries(columns.map(({ name, kind }) => [name, sqlTypes[kind]])),
  ...privateTypes,
};

const rawColumns = ['stripe_data', 'status', 'payment_status', 'stripe_api_version'];
/** The gaps go with the stamp: what Stripe sent before a row was imported must not fill its columns. */
const stampColumns = ['stripe_progress', 'stripe_second', 'stripe_event_id', 'stripe_gaps'];

/** What a stored session `s` has after an imported row `r` took its place; a row without a raw object leaves it. */
const replaced: readonly (readonly [name: string, value: string])[] = [
  ...writableColumns.filter(({ name }) => name !== 'id').map(({ name }) => [name, `r."${name}"`] as const),
  ['djstripe_id', 'coalesce(CASE WHEN r.holder IS NULL THEN r.djstripe_id END, s.djstripe_id)'],
  ['djstripe_created', 'coalesce(r.djstripe_created, s.djstripe_created)'],
  ['djstripe_updated', 'r.djstripe_updated'],
  ...rawColumns.map((name) => [name, `CASE WHEN r.stripe_data IS NULL THEN s.${name} ELSE r.${name} END`] as const),
  ...stampColumns.map(
    (name) =>
      [
        name,
        `CASE WHEN s.stripe_progress IS NULL OR ${stampOf('s')} <= ${stampOf('r')} THEN r.${name} ELSE s.${name} END`,
      ] as const,
  ),
];

/**
 * The number counts in a full export alone: a session that was given another number keeps it, so that importing it again
 * changes nothing.
 */
const compared = replaced.filter(([name]) => name !== 'djstripe_id');

const replaces = `r.djstripe_updated >= s.djstripe_updated
  AND (r.stripe_data IS NULL OR s.stripe_progress IS NULL OR ${stampOf('s')} <= ${stampOf('r')})
  AND (r.version IS NOT NULL AND r.djstripe_id <> s.djstripe_id
    OR (${compared.map(([, value]) => value).join(', ')}) IS DISTINCT FROM (${compared.map(([name]) => `s."${name}"`).join(', ')}))`;

/** What a new row has where the import leaves a choice. */
const inserted: Readonly<Record<string, string>> = {
  djstripe_id: `coalesce(CASE WHEN r.holder IS NULL THEN r.djstripe_id END, nextval('${sequence}'))`,
  djstripe_created: 'coalesce(r.djstripe_created, now())',
  djstripe_updated: 'coalesce(r.djstripe_updated, now())',
  // A djstripe_id that is kept had other states elsewhere, or here before it was deleted: their tags stay theirs.
  version: `coalesce(r.version, CASE WHEN r.djstripe_id IS NULL THEN 1 ELSE 1 + floor(random() * (2 ^ 30))::integer END)`,
};

/**
 * `$2` brings back what was deleted, `$3` gives another number where another session has the row's. A tombstone goes in
 * the statement that writes its session, with the session's ledger: the events that were answered `deleted` or applied
 * before may be what comes back.
 */
const importSessionsSql = `WITH input AS MATERIALIZED (
    SELECT r.*, (SELECT o.id FROM checkout_session AS o WHERE o.djstripe_id = r.djstripe_id AND o.id <> r.id LIMIT 1) AS holder
    FROM ${recordset(sessionTypes)}
  ), r AS MATERIALIZED (
    SELECT r.*, CASE
      WHEN s.id IS NULL AND t.id IS NOT NULL AND NOT $2::boolean THEN 'deleted'
      WHEN s.id IS NOT NULL AND (${replaces}) IS NOT TRUE THEN 'unchanged'
      WHEN r.holder IS NOT NULL AND (r.version IS NOT NULL OR NOT $3::boolean) THEN 'taken'
      WHEN s.id IS NULL THEN 'insert'
      ELSE 'update'
    END AS fate
    FROM input AS r
      LEFT JOIN checkout_session AS s ON s.id = r.id
      LEFT JOIN checkout_session_tombstone AS t ON t.id = r.id
  ), updated AS (
    UPDATE checkout_session AS s
    SET ${replaced.map(([name, value]) => `"${name}" = ${value}`).join(', ')}, version = greatest(s.version + 1, r.version)
    FROM r WHERE s.id = r.id AND r.fate = 'update' RETURNING s.id, s.djstripe_id
  ), inserted AS (
    INSERT INTO checkout_session (${names(sessionTypes).join(', ')})
    SELECT ${Object.keys(sessionTypes)
      .map((name) => inserted[name] ?? `r."${name}"`)
      .join(', ')}
    FROM r WHERE r.fate = 'insert' ORDER BY r.position RETURNING id, djstripe_id
  ), revived AS (
    DELETE FROM checkout_session_tombstone AS t USING r WHERE t.id = r.id AND r.fate = 'insert' RETURNING t.id
  ), forgotten AS (
    DELETE FROM stripe_event AS e USING revived WHERE e.session_id = revived.id
  ), written AS (
    SELECT id, djstripe_id FROM updated UNION ALL SELECT id, djstripe_id FROM inserted
  )
  SELECT CASE WHEN r.fate IN ('insert', 'update') THEN 'applied' ELSE r.fate END AS outcome, r.holder,
    CASE WHEN r.holder IS NOT NULL THEN (SELECT w.djstripe_id::text FROM written AS w WHERE w.id = r.id) END AS number
  FROM r ORDER BY r.position`;

/** A tombstone is as old as its deletion: a session that was written after it stays. */
const importTombstonesSql = `WITH r AS MATERIALIZED (
    SELECT r.*, EXISTS (
      SELECT FROM checkout_session AS s WHERE s.id = r.id AND s.djstripe_updated > r.deleted_at
    ) OR EXISTS (
      SELECT FROM checkout_session_tombstone AS t WHERE t.id = r.id AND t.deleted_at >= r.deleted_at
    ) AS stale
    FROM ${recordset(tombstoneTypes)}
  ), gone AS (
    DELETE FROM checkout_session AS s USING r WHERE s.id = r.id AND NOT r.stale
  ), written AS (
    INSERT INTO checkout_session_tombstone (id, deleted_at) SELECT r.id, r.deleted_at FROM r WHERE NOT r.stale
    ON CONFLICT (id) DO UPDATE SET deleted_at = EXCLUDED.deleted_at
  )
  SELECT CASE WHEN stale THEN 'unchanged' ELSE 'applied' END AS outcome FROM r ORDER BY position`;

const importLedgerSql = `WITH r AS MATERIALIZED (SELECT * FROM ${recordset(ledgerTypes)}), written AS (
    INSERT INTO stripe_event (${names(ledgerTypes).join(', ')}) SELECT ${names(ledgerTypes).join(', ')} FROM r
    ON CONFLICT (session_id, id) DO NOTHING RETURNING session_id, id
  )
  SELECT CASE WHEN w.id IS NULL THEN 'unchanged' ELSE 'applied' END AS outcome
  FROM r LEFT JOIN written AS w ON w.session_id = r.session_id AND w.id = r.id ORDER BY position`;

const importProgressSql = `WITH r AS MATERIALIZED (SELECT * FROM ${recordset(progressTypes)}), written AS (
    INSERT INTO stripe_progress AS p (task, state, updated_at) SELECT task, state, updated_at FROM r
    ON CONFLICT (task) DO UPDATE SET state = EXCLUDED.state, updated_at = EXCLUDED.updated_at
    WHERE p.updated_at < EXCLUDED.updated_at RETURNING task
  )
  SELECT CASE WHEN w.task IS NULL THEN 'unchanged' ELSE 'applied' END AS outcome
  FROM r LEFT JOIN written AS w ON w.task = r.task ORDER BY position`;

// A sequence that was never used says 1, as one that gave 1 out does.
const moveSequenceSql = `SELECT setval('${sequence}', $1::bigint) FROM ${sequence} AS q
  WHERE $1::bigint > q.last_value OR ($1::bigint = q.last_value AND NOT q.is_called)`;

/** With the ledger, for the same reason. The locks are taken in one order, as every group of writes does. */
const reviveSql = `WITH locked AS MATERIALIZED (
    SELECT i.id, ${lockSession('i.id')} FROM (SELECT unnest($1::text[]) COLLATE "C" AS id ORDER BY 1) AS i
  ), revived AS (
    DELETE FROM checkout_session_tombstone AS t USING locked WHERE t.id = locked.id RETURNING t.id
  )
  DELETE FROM stripe_event AS e USING revived WHERE e.session_id = revived.id`;

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
        return write(importSessionsSql, rows, query, restore, renumber);
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

/**
 * The mirror, in which a state of a session that was deleted here brings it back: its tombstone goes in the transaction
 * that writes the state.
 */
export function restoringMirror(database: Database): MirrorStore {
  function restoring<Result>(ids: readonly string[], work: (mirror: MirrorStore) => Promise<Result>): Promise<Result> {
    return retrying(() =>
      database.transaction(async (query) => {
        await query({ text: reviveSql, values: [ids] });
        return work(mirrorStore({ ...database, query }));
      }),
    );
  }
  return {
    ...mirrorStore(database),
    apply: (state, event) => restoring([state.id], (mirror) => mirror.apply(state, event)),
    applyAll: (states) =>
      restoring(
        states.map(({ id }) => id),
        (mirror) => mirror.applyAll(states),
      ),
  };
}
