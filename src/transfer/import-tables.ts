import { ledgerTypes, progressTypes, quotedNames, tombstoneTypes, tombstoneValues } from '../database/columns.js';
import { assignments } from '../database/sessions/statement.js';
import { recordset } from './recordset.js';

/** The statements that import tombstones, the ledger and the progress. */

const tombstoneNames = ['"id"', ...tombstoneValues.map(([name]) => `"${name}"`), '"deleted_at"'].join(', ');

/** A tombstone has the time of its deletion: it does not delete a session that was written later. */
export const importTombstonesSql = `WITH input AS MATERIALIZED (SELECT * FROM ${recordset(tombstoneTypes)}), stale AS MATERIALIZED (
    SELECT s.id FROM input AS r JOIN checkout_session AS s ON s.id = r.id
    WHERE coalesce(s.deleted_at >= r.deleted_at, s.djstripe_updated > r.deleted_at)
  ), written AS (
    INSERT INTO checkout_session AS s (${tombstoneNames})
    SELECT r.id, ${tombstoneValues.map(([, value]) => value).join(', ')}, r.deleted_at
    FROM input AS r WHERE r.id NOT IN (SELECT id FROM stale)
    ON CONFLICT (id) DO UPDATE SET ${assignments([...tombstoneValues, ['deleted_at', 'excluded."deleted_at"']])}
  )
  SELECT CASE WHEN r.id IN (SELECT id FROM stale) THEN 'unchanged' ELSE 'applied' END AS outcome
  FROM input AS r ORDER BY r.position`;

export const importLedgerSql = `WITH r AS MATERIALIZED (SELECT * FROM ${recordset(ledgerTypes)}), written AS (
    INSERT INTO stripe_event (${quotedNames(ledgerTypes).join(', ')}) SELECT ${quotedNames(ledgerTypes).join(', ')} FROM r
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
