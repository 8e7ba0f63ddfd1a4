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

/** A session to store in the place of another, and the tags that must hold of that one. */
export interface ReplaceInput extends ExpectedTags {
  readonly write: SessionWrite;
}

const names = Object.keys(writtenTypes).filter((name) => name !== 'id');

/** Replaces sessions. Returns a row for each that existed and satisfied the tags. */
export const replaceSessions = inputStatement<ReplaceInput, WrittenRow>({
  name: 'replace',
  types: { ...writtenTypes, match: 'text[]', none_match: 'text[]' },
  sql: `
    UPDATE checkout_session AS s SET ${assignments(names.map((name) => [name, `r."${name}"`]))}, ${versionBump.join(', ')}
    FROM input AS r WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0
      AND ${preconditionSql('r.match', 'r.none_match')} RETURNING ${writtenColumns}`,
  // The columns last: V8 adds what follows a spread one by one.
  rowOf: ({ write, match, noneMatch }) => ({ match, none_match: noneMatch, ...write }),
});
