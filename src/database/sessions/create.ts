import type { SessionWrite } from '../../model/session.js';
import { writtenTypes } from '../columns.js';
import { assignments, columnList, inputStatement, shardHint, type WrittenRow, writtenColumns } from './statement.js';

/** Assignments that turn a tombstone into a new session. `excluded` has a new djstripe_id, which its default has drawn. */
const fromTombstone = assignments([
  ...['djstripe_id', 'djstripe_created', 'djstripe_updated', 'version', ...Object.keys(writtenTypes)]
    .filter((name) => name !== 'id')
    .map((name) => [name, `excluded."${name}"`] as const),
  ['deleted_at', 'NULL'],
]);

/**
 * Creates sessions, and returns a row for each created one. An id that exists gets no row.
 *
 * PostgreSQL draws from the sequence of djstripe_id for each row it tries to insert, even for a conflict, and djstripe_id must
 * stay below 2^31. So the CTE `present` removes the existing ids first.
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
