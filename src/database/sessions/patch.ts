import type { ColumnPatch } from '../../model/session-request.js';
import { writtenTypes } from '../columns.js';
import {
  assignments,
  type ExpectedTags,
  inputStatement,
  preconditionSql,
  shardHint,
  versionBump,
  type WrittenRow,
  writtenColumns,
} from './statement.js';

/** A merge patch of a session, and the ETags that the session must satisfy. */
export interface PatchInput extends ExpectedTags {
  readonly id: string;
  readonly changes: readonly ColumnPatch[];
}

/** Returns the SQL value of a column after a patch. PostgreSQL merges the maps, so that concurrent patches both survive. */
function patchedValue(name: string, type: string): string {
  const merging =
    type === 'jsonb' ? `WHEN '${name}' = ANY(r.merge) THEN json_merge_patch(s."${name}", r."${name}")` : '';
  return `CASE WHEN '${name}' = ANY(r.put) THEN r."${name}" ${merging} ELSE s."${name}" END`;
}

const patchedColumns = Object.entries(writtenTypes)
  .filter(([name]) => name !== 'id')
  .map(([name, type]) => [name, patchedValue(name, type)] as const);

/**
 * Applies merge patches, which must not be empty. Returns a row for each session that exists and satisfies its ETags. One
 * statement serves all patches: `put` and `merge` name the columns that an input changes, and CASE keeps the others.
 */
export const patchSessions = inputStatement<PatchInput, WrittenRow>({
  name: 'patch',
  types: { ...writtenTypes, put: 'text[]', merge: 'text[]', match: 'text[]', none_match: 'text[]' },
  sql: `
    UPDATE checkout_session AS s SET ${assignments(patchedColumns)}, ${versionBump.join(', ')}
    FROM input AS r WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0
      AND ${preconditionSql('r.match', 'r.none_match')} RETURNING ${writtenColumns}`,
  rowOf({ id, changes, match, noneMatch }) {
    const put = changes.filter(({ merge }) => !merge).map(({ column }) => column.name);
    const merge = changes.filter((change) => change.merge).map(({ column }) => column.name);
    const values = Object.fromEntries(changes.map(({ column, value }) => [column.name, value]));
    return { ...values, id, put, merge, match, none_match: noneMatch };
  },
});
