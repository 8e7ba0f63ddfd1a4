import { type ColumnKind, type SessionWrite, writableColumns } from '../model/session.js';
import type { Change } from '../model/session-request.js';
import { sqlTypes } from './conditions.js';
import type { Database } from './database.js';

/** The statements that change sessions: each takes any number of them, of different ids, and is prepared once. */

/** The strong entity tag of a row. djstripe_id is never used twice, so it does not come back after delete and create. */
export function etagOf(row: string): string {
  return `'"' || ${row}.djstripe_id || '-' || ${row}.version || '"'`;
}

/** The lock that serialises creating and deleting an id, until the end of the transaction. */
export function lockSession(id: string): string {
  return `pg_advisory_xact_lock(hashtextextended(${id}, 0))`;
}

/** What a statement that changes a row sets besides. The time of the change: the statement may have waited. */
const touched = ['version = s.version + 1', 'djstripe_updated = greatest(clock_timestamp(), s.djstripe_updated)'];

/** The same, where a condition on the row holds. OFFSET, so that it is worked out once and not for each column. */
export function touchedWhere(condition: string): string {
  return `(version, djstripe_updated) = (
    SELECT CASE WHEN c.holds THEN s.version + 1 ELSE s.version END,
      CASE WHEN c.holds THEN greatest(clock_timestamp(), s.djstripe_updated) ELSE s.djstripe_updated END
    FROM (SELECT ${condition} AS holds OFFSET 0) AS c)`;
}

/** The tag of the row in the statement's snapshot; null when there is none. */
const before = `(SELECT ${etagOf('c')} FROM checkout_session AS c WHERE c.id = r.id) AS before`;

/** Holds where a stored tag satisfies If-Match and If-None-Match; null stands for an absent header. */
function tagsSatisfy(match: string, noneMatch: string): string {
  return `(${match} IS NULL OR ${etagOf('s')} = ANY(${match})) AND (${noneMatch} IS NULL OR ${etagOf('s')} <> ALL(${noneMatch}))`;
}

const returning = `s.id, s.document, ${etagOf('s')} AS etag`;
const written = writableColumns.filter(({ name }) => name !== 'id');
const names = writableColumns.map(({ name }) => `"${name}"`).join(', ');
const types = writableColumns.map(({ name, kind }) => `"${name}" ${sqlTypes[kind]}`).join(', ');

/** A session to store, and what to do where there is one already or none. */
export interface WriteInput {
  readonly write: SessionWrite;
  readonly creates: boolean;
  readonly replaces: boolean;
  readonly match: readonly string[] | null;
  readonly noneMatch: readonly string[] | null;
}

/** What became of one session: `document` and `etag` are null when nothing was written. */
export interface WriteRow {
  readonly id: string;
  readonly document: string | null;
  readonly etag: string | null;
  /** The tag of the session before; null when there was none. */
  readonly before: string | null;
  readonly created: boolean;
}

// A value of the sequence is taken only for a row that is to be inserted: djstripe_id must stay below 2^31. The ids
// are in one order in every group, as are the locks.
const writeSql = `WITH input AS MATERIALIZED (
    SELECT r.*, ${before}
    FROM jsonb_to_recordset($1::jsonb)
      AS r (${types}, creates boolean, replaces boolean, match text[], none_match text[])
    ORDER BY r.id COLLATE "C"
  ), updated AS (
    UPDATE checkout_session AS s
    SET ${[...written.map(({ name }) => `"${name}" = r."${name}"`), ...touched].join(', ')}
    FROM input AS r WHERE s.id = r.id AND r.replaces AND ${tagsSatisfy('r.match', 'r.none_match')}
    RETURNING ${returning}
  ), inserted AS (
    INSERT INTO checkout_session AS s (${names})
    SELECT ${names} FROM input AS r WHERE r.creates AND r.before IS NULL AND checkout_session_revive(r.id)
    ON CONFLICT (id) DO NOTHING RETURNING ${returning}
  )
  SELECT r.id, r.before, coalesce(u.document, i.document) AS document, coalesce(u.etag, i.etag) AS etag,
    i.id IS NOT NULL AS created
  FROM input AS r LEFT JOIN updated AS u ON u.id = r.id LEFT JOIN inserted AS i ON i.id = r.id`;

/** Creates and replaces sessions, in the order of the inputs. */
export function writeSessions(query: Database['query'], inputs: readonly WriteInput[]): Promise<WriteRow[]> {
  // The columns last: V8 adds what follows a spread one by one.
  const rows = inputs.map(({ write, creates, replaces, match, noneMatch }) => {
    return { creates, replaces, match, none_match: noneMatch, ...write };
  });
  return inOrder(query, { name: 'write', text: writeSql }, rows);
}

/** Columns to change, and what must hold. */
export interface PatchInput {
  readonly id: string;
  readonly changes: readonly Change[];
  readonly match: readonly string[] | null;
  readonly noneMatch: readonly string[] | null;
}

/** What a column has after a patch `r`. Maps are merged where they are stored, so that patches at once both survive. */
function patched({ name, kind }: { name: string; kind: ColumnKind }): string {
  if (kind !== 'map') {
    return `CASE WHEN r.put ? '${name}' THEN (r.put ->> '${name}')::${sqlTypes[kind]} ELSE s."${name}" END`;
  }
  return `CASE WHEN r.put ? '${name}' THEN nullif(r.put -> '${name}', 'null')
    WHEN r.merge ? '${name}' THEN json_merge_patch(s."${name}", r.merge -> '${name}') ELSE s."${name}" END`;
}

const patchSql = `WITH input AS MATERIALIZED (
    SELECT r.*, ${before}
    FROM jsonb_to_recordset($1::jsonb) AS r (id text, put jsonb, merge jsonb, match text[], none_match text[])
    ORDER BY r.id COLLATE "C"
  ), updated AS (
    UPDATE checkout_session AS s
    SET ${[...written.map((column) => `"${column.name}" = ${patched(column)}`), ...touched].join(', ')}
    FROM input AS r WHERE s.id = r.id AND ${tagsSatisfy('r.match', 'r.none_match')}
    RETURNING ${returning}
  )
  SELECT r.id, r.before, u.document, u.etag, false AS created FROM input AS r LEFT JOIN updated AS u ON u.id = r.id`;

/** Applies merge patches, none of them empty, in the order of the inputs. */
export function patchSessions(query: Database['query'], inputs: readonly PatchInput[]): Promise<WriteRow[]> {
  const rows = inputs.map(({ id, changes, match, noneMatch }) => {
    const put = valuesOf(changes.filter((change) => !change.merge));
    const merge = valuesOf(changes.filter((change) => change.merge));
    return { id, match, none_match: noneMatch, put, merge };
  });
  return inOrder(query, { name: 'patch', text: patchSql }, rows);
}

function valuesOf(changes: readonly Change[]): Record<string, unknown> {
  return Object.fromEntries(changes.map(({ column, value }) => [column.name, value]));
}

async function inOrder(
  query: Database['query'],
  statement: { name: string; text: string },
  inputs: readonly { id: string }[],
): Promise<WriteRow[]> {
  const rows = await query<WriteRow>({ ...statement, values: [JSON.stringify(inputs)] });
  const byId = new Map(rows.map((row) => [row.id, row]));
  return inputs.map(({ id }) => byId.get(id) as WriteRow);
}

const removeSql = `WITH locked AS MATERIALIZED (SELECT ${lockSession('$1')}), gone AS (
    DELETE FROM checkout_session AS s USING locked
    WHERE s.id = $1 AND ${tagsSatisfy('$2::text[]', '$3::text[]')} RETURNING s.id
  )
  INSERT INTO checkout_session_tombstone AS t (id) SELECT gone.id FROM gone
  ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING t.id`;

/** Deletes a session and leaves its tombstone. Returns whether there was one that satisfied the tags. */
export async function removeSession(
  query: Database['query'],
  id: string,
  match: readonly string[] | null,
  noneMatch: readonly string[] | null,
): Promise<boolean> {
  const rows = await query({ name: 'remove', text: removeSql, values: [id, match, noneMatch] });
  return rows.length > 0;
}
