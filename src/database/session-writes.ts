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

/** Holds where a stored tag satisfies If-Match and If-None-Match; null stands for an absent header. */
function tagsSatisfy(match: string, noneMatch: string): string {
  return `(${match} IS NULL OR ${etagOf('s')} = ANY(${match})) AND (${noneMatch} IS NULL OR ${etagOf('s')} <> ALL(${noneMatch}))`;
}

const returning = `s.id, s.document, ${etagOf('s')} AS etag`;
const written = writableColumns.filter(({ name }) => name !== 'id');
const names = writableColumns.map(({ name }) => `"${name}"`).join(', ');
/** Columns and their types, as jsonb_to_recordset takes them. */
export const typesOf = (some: typeof writableColumns) =>
  some.map(({ name, kind }) => `"${name}" ${sqlTypes[kind]}`).join(', ');

/** What a statement wrote of one session. */
export interface WrittenRow {
  readonly id: string;
  /** Its response. */
  readonly document: string;
  /** Its tag. */
  readonly etag: string;
}

type Written = WrittenRow | undefined;

/** The inputs of a statement, in one order in every group, as are the locks that it takes where the plan begins with them. */
const inputOf = (columnTypes: string, more = '') => `WITH input AS MATERIALIZED (
    SELECT r.*${more} FROM jsonb_to_recordset($1::jsonb) AS r (${columnTypes}) ORDER BY r.id COLLATE "C"
  )`;

// A value of the sequence is taken only for a row that is to be inserted: djstripe_id must stay below 2^31.
const createSql = `${inputOf(typesOf(writableColumns), ', (SELECT true FROM checkout_session AS c WHERE c.id = r.id) IS TRUE AS is_there')}
  INSERT INTO checkout_session AS s (${names})
  SELECT ${names} FROM input AS r WHERE NOT r.is_there AND checkout_session_revive(r.id)
  ON CONFLICT (id) DO NOTHING RETURNING ${returning}`;

/** Creates sessions, in the order of the inputs; undefined for an id that exists. */
export function createSessions(query: Database['query'], inputs: readonly SessionWrite[]): Promise<Written[]> {
  return run(query, { name: 'create', text: createSql }, inputs);
}

/** A statement that changes sessions where the tags are satisfied. `result` is what a column has after it. */
function updateSql(inputTypes: string, result: (column: (typeof written)[number]) => string): string {
  const assignments = written.map((column) => `"${column.name}" = ${result(column)}`);
  return `${inputOf(`id text, ${inputTypes}, match text[], none_match text[]`)}
    UPDATE checkout_session AS s SET ${[...assignments, ...touched].join(', ')}
    FROM input AS r WHERE s.id = r.id AND ${tagsSatisfy('r.match', 'r.none_match')} RETURNING ${returning}`;
}

/** A session to store in the place of another, and what must hold of that. */
export interface ReplaceInput {
  readonly write: SessionWrite;
  readonly match: readonly string[] | null;
  readonly noneMatch: readonly string[] | null;
}

const replaceSql = updateSql(typesOf(written), ({ name }) => `r."${name}"`);

/** Replaces sessions, in the order of the inputs; undefined where there was none that satisfied the tags. */
export function replaceSessions(query: Database['query'], inputs: readonly ReplaceInput[]): Promise<Written[]> {
  // The columns last: V8 adds what follows a spread one by one.
  const rows = inputs.map(({ write, match, noneMatch }) => ({ match, none_match: noneMatch, ...write }));
  return run(query, { name: 'replace', text: replaceSql }, rows);
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

const patchSql = updateSql('put jsonb, merge jsonb', patched);

/**
 * Applies merge patches, none of them empty, in the order of the inputs; undefined where there was no session that
 * satisfied the tags.
 */
export function patchSessions(query: Database['query'], inputs: readonly PatchInput[]): Promise<Written[]> {
  const rows = inputs.map(({ id, changes, match, noneMatch }) => {
    const put = valuesOf(changes.filter((change) => !change.merge));
    const merge = valuesOf(changes.filter((change) => change.merge));
    return { id, match, none_match: noneMatch, put, merge };
  });
  return run(query, { name: 'patch', text: patchSql }, rows);
}

function valuesOf(changes: readonly Change[]): Record<string, unknown> {
  return Object.fromEntries(changes.map(({ column, value }) => [column.name, value]));
}

/** Runs a statement on its inputs; resolves to what it wrote of each. */
async function run(
  query: Database['query'],
  statement: { readonly name: string; readonly text: string },
  inputs: readonly { readonly id: string }[],
): Promise<Written[]> {
  const rows = await query<WrittenRow>({ ...statement, values: [JSON.stringify(inputs)] });
  const byId = new Map(rows.map((row) => [row.id, row]));
  return inputs.map(({ id }) => byId.get(id));
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
