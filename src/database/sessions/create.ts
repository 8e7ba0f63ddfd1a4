import type { SessionWrite } from '../../model/session.js';
import { writtenTypes } from '../columns.js';
import { assignments, columnList, inputStatement, shardHint, type WrittenRow, writtenColumns } from './statement.js';

/** What makes a tombstone a new session. The default of djstripe_id has taken a new number. */
const fromTombstone = assignments([
  ...['djstripe_id', 'djstripe_created', 'djstripe_updated', 'version', ...Object.keys(writtenTypes)]
    .filter((name) => name !== 'id')
    .map((name) => [name, `excluded."${name}"`] as const),
  ['deleted_at', 'NULL'],
]);

/**
 * Creates sessions. Returns a row for each that did not exist.
 *
 * The ids that exist are left out before the insertion: each row that is to be inserted takes a number of the sequence, also
 * where it conflicts, and djstripe_id must stay below 2^31.
 */
export const createSessions = inputStatement<SessionWrite, WrittenRow>({
  name: 'create',
  types: writtenTypes,
  sql: `, present AS MATERIALIZED (
    SELECT s.id FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')} WHERE s.version <> 0
  )
  INSERT INTO checkout_session AS s (${columnList(writtenTypes)})
  SELECT ${columnList(writtenTypes)} FROM input AS r WHERE r.id NOT IN (SELECT id FROM present)
  ON CONFLICT (id) DO UPDATE SET ${fromTombstone} WHERE s.version = 0 RETURNING ${writtenColumns}`,
  rowOf: (session) => session,
});
