import type { SessionWrite } from '../../model/session.js';
import { writtenTypes } from '../columns.js';
import {
  assigned,
  inputStatement,
  onShardsOf,
  returning,
  type Tags,
  tagsSatisfy,
  touched,
  type WrittenRow,
} from './statement.js';

/** A session to store in the place of another, and the tags that must hold of that one. */
export interface ReplaceInput extends Tags {
  readonly write: SessionWrite;
}

const names = Object.keys(writtenTypes).filter((name) => name !== 'id');

/** Replaces sessions. Returns a row for each that existed and satisfied the tags. */
export const replaceSessions = inputStatement<ReplaceInput, WrittenRow>({
  name: 'replace',
  types: { ...writtenTypes, match: 'text[]', none_match: 'text[]' },
  sql: `
    UPDATE checkout_session AS s SET ${assigned(names.map((name) => [name, `r."${name}"`]))}, ${touched.join(', ')}
    FROM input AS r WHERE s.id = r.id ${onShardsOf('s.id')} AND s.version <> 0
      AND ${tagsSatisfy('r.match', 'r.none_match')} RETURNING ${returning}`,
  // The columns last: V8 adds what follows a spread one by one.
  rowOf: ({ write, match, noneMatch }) => ({ match, none_match: noneMatch, ...write }),
});
