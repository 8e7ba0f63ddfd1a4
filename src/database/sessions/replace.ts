import type { SessionWrite } from '../../model/session.js';
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

/** The new values of a session, and the ETags that the stored session must satisfy. */
export interface ReplaceInput extends ExpectedTags {
  readonly write: SessionWrite;
}

const names = Object.keys(writtenTypes).filter((name) => name !== 'id');

/** Replaces sessions. Returns a row for each session that exists and satisfies its ETags. */
export const replaceSessions = inputStatement<ReplaceInput, WrittenRow>({
  name: 'replace',
  types: { ...writtenTypes, match: 'text[]', none_match: 'text[]' },
  sql: `
    UPDATE checkout_session AS s SET ${assignments(names.map((name) => [name, `r."${name}"`]))}, ${versionBump.join(', ')}
    FROM input AS r WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0
      AND ${preconditionSql('r.match', 'r.none_match')} RETURNING ${writtenColumns}`,
  // The spread comes last: V8 adds each property after a spread one by one, which is slower.
  rowOf: ({ write, match, noneMatch }) => ({ match, none_match: noneMatch, ...write }),
});
