import { ledgerTypes, names, progressTypes, recordset, tombstoneTypes } from './transfer-types.js';

/** The statements that import the tables beside the sessions. */

/** A tombstone is as old as its deletion: a session that was written after it stays. */
export const importTombstonesSql = `WITH r AS MATERIALIZED (
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

export const importLedgerSql = `WITH r AS MATERIALIZED (SELECT * FROM ${recordset(ledgerTypes)}), written AS (
    INSERT INTO stripe_event (${names(ledgerTypes).join(', ')}) SELECT ${names(ledgerTypes).join(', ')} FROM r
    ON CONFLICT (session_id, id) DO NOTHING RETURNING session_id, id
  )
  SELECT CASE WHEN w.id IS NULL THEN 'unchanged' ELSE 'applied' END AS outcome
  FROM r LEFT JOIN written AS w ON w.session_id = r.session_id AND w.id = r.id ORDER BY position`;

export const importProgressSql = `WITH r AS MATERIALIZED (SELECT * FROM ${recordset(progressTypes)}), written AS (
    INSERT INTO stripe_progress AS p (task, state, updated_at) SELECT task, state, updated_at FROM r
    ON CONFLICT (task) DO UPDATE SET state = EXCLUDED.state, updated_at = EXCLUDED.updated_at
    WHERE p.updated_at < EXCLUDED.updated_at RETURNING task
  )
  SELECT CASE WHEN w.task IS NULL THEN 'unchanged' ELSE 'applied' END AS outcome
  FROM r LEFT JOIN written AS w ON w.task = r.task ORDER BY position`;
