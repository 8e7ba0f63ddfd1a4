import type { Change } from '../../model/session-request.js';
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

/** Columns of a session to change, and the tags that must hold of it. */
export interface PatchInput extends ExpectedTags {
  readonly id: string;
  readonly changes: readonly Change[];
}

/** Returns what a column has after a patch. Maps are merged where they are stored, so that concurrent patches both survive. */
function patched(name: string, type: string): string {
  const merging =
    type === 'jsonb' ? `WHEN '${name}' = ANY(r.merge) THEN json_merge_patch(s."${name}", r."${name}")` : '';
  return `CASE WHEN '${name}' = ANY(r.put) THEN r."${name}" ${merging} ELSE s."${name}" END`;
}

const patchedColumns = Object.entries(writtenTypes)
  .filter(([name]) => name !== 'id')
  .map(([name, type]) => [name, patched(name, type)] as const);

/** Applies merge patches, none of them empty. Returns a row for each session that existed and satisfied the tags. */
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
