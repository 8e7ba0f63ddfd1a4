import { tombstoneValues } from '../columns.js';
import type { Database } from '../engine/database.js';
import { assignments, type ExpectedTags, preconditionSql } from './statement.js';

/** Assignments that turn a session into a tombstone. Only the id stays. */
export const toTombstone = assignments([...tombstoneValues, ['deleted_at', 'now()']]);

const sql = `UPDATE checkout_session AS s SET ${toTombstone}
  WHERE s.id = $1 AND s.version <> 0 AND ${preconditionSql('$2::text[]', '$3::text[]')} RETURNING s.id`;

/**
 * Deletes a session and leaves its tombstone. Returns false if the session does not exist or does not satisfy the ETags. The
 * statement is an UPDATE, so the primary key serialises it with a concurrent create of the same id.
 */
export async function removeSession(
  query: Database['query'],
  id: string,
  { match, noneMatch }: ExpectedTags,
): Promise<boolean> {
  const rows = await query({ name: 'remove', text: sql, values: [id, match, noneMatch] });
  return rows.length > 0;
}
