import { Problem } from '../errors.js';
import type { Precondition } from '../model/etag.js';
import { type Cursor, cursorAt, type ListQuery } from '../model/list.js';
import {
  type Column,
  type ColumnKind,
  columns,
  type Session,
  type SessionWrite,
  writableColumns,
} from '../model/session.js';
import type { Change } from '../model/session-request.js';
import { conditionSql, identifier, indexPredicate, parameter, sqlTypes } from './conditions.js';
import type { Database } from './database.js';
import { Prisma } from './generated/client.js';

/** A session as it is stored: its response, ready to send, and its tag. */
export interface StoredSession {
  /** The JSON of the contract's properties, made by PostgreSQL. */
  readonly document: string;
  /** The strong entity tag, with its quotes. */
  readonly etag: string;
}

/** A page of a list: the documents in order, and where the neighbouring pages begin. */
export interface StoredPage {
  readonly documents: readonly string[];
  readonly next: Cursor | undefined;
  readonly previous: Cursor | undefined;
  readonly count: number | null;
}

/**
 * Serialises deleting an id with Stripe's creating it, until the end of the transaction: an event that found
 * neither session nor tombstone must not create what was created and deleted meanwhile.
 */
export function lockSession(id: string): string {
  return `pg_advisory_xact_lock(hashtextextended(${id}, 0))`;
}

// djstripe_id is never used twice, so the tag does not come back after delete and create.
const etag = `'"' || s.djstripe_id || '-' || s.version || '"'`;
const returning = `s.document, ${etag} AS etag`;

const names = writableColumns.map(({ name }) => `"${name}"`).join(', ');
const placeholders = writableColumns.map(({ kind }, index) => `$${index + 1}::${sqlTypes[kind]}`);
const idPlaceholder = placeholders[writableColumns.findIndex(({ name }) => name === 'id')];

/** What every statement that changes a row sets besides. */
const touched = ['version = s.version + 1', 'djstripe_updated = now()'];

function setList(value: (index: number, name: string) => string | undefined): string {
  const assignments = writableColumns.flatMap(({ name }, index) =>
    name === 'id' ? [] : [`"${name}" = ${value(index, name)}`],
  );
  return [...assignments, ...touched].join(', ');
}

/** Holds where the stored tag satisfies If-Match and If-None-Match; null stands for an absent header. */
function tagsSatisfy(match: string, noneMatch: string): string {
  return `(${match}::text[] IS NULL OR ${etag} = ANY(${match}::text[]))
    AND (${noneMatch}::text[] IS NULL OR ${etag} <> ALL(${noneMatch}::text[]))`;
}

const find = `SELECT ${returning} FROM checkout_session AS s WHERE s.id = $1`;

// A value of the sequence is taken only when a row is to be inserted: djstripe_id must stay below 2^31.
const insert = `WITH revived AS (DELETE FROM checkout_session_tombstone WHERE id = ${idPlaceholder})
  INSERT INTO checkout_session AS s (${names}) SELECT ${placeholders.join(', ')}
  WHERE NOT EXISTS (SELECT FROM checkout_session WHERE id = ${idPlaceholder})
  ON CONFLICT (id) DO NOTHING RETURNING ${returning}`;

const update = `UPDATE checkout_session AS s SET ${setList((index) => placeholders[index])}
  WHERE s.id = ${idPlaceholder}
    AND ${tagsSatisfy(`$${writableColumns.length + 1}`, `$${writableColumns.length + 2}`)}
  RETURNING ${returning}`;

// What was not there to update: inserted, unless another request was first.
const upsert = `WITH revived AS (DELETE FROM checkout_session_tombstone WHERE id = ${idPlaceholder})
  INSERT INTO checkout_session AS s (${names}) VALUES (${placeholders.join(', ')})
  ON CONFLICT (id) DO UPDATE SET ${setList((_, name) => `EXCLUDED."${name}"`)}
  RETURNING ${returning}, s.version = 1 AS created`;

const remove = `WITH locked AS MATERIALIZED (SELECT ${lockSession('$1')}), gone AS (
    DELETE FROM checkout_session AS s USING locked WHERE s.id = $1 AND ${tagsSatisfy('$2', '$3')} RETURNING s.id
  )
  INSERT INTO checkout_session_tombstone AS t (id) SELECT gone.id FROM gone
  ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING t.id`;

export function encode(kind: ColumnKind, value: unknown): unknown {
  return kind === 'map' && value !== null ? JSON.stringify(value) : value;
}

function valuesOf(write: SessionWrite): unknown[] {
  return writableColumns.map(({ name, kind }) => encode(kind, write[name]));
}

/** The parameters of {@link tagsSatisfy}; If-Match: * asks for no tag, only for a row. */
function tagValues({ match, noneMatch }: Precondition): unknown[] {
  return [match === '*' ? null : (match ?? null), noneMatch === '*' ? null : (noneMatch ?? null)];
}

/** Whether a row that exists satisfies If-None-Match at all. */
const refusesAnyRow = ({ noneMatch }: Precondition) => noneMatch === '*';

export type SessionStore = ReturnType<typeof sessionStore>;

/** Reads and writes of the sessions. Each write is one statement, committed when its promise resolves. */
export function sessionStore(database: Database) {
  async function one(name: string, text: string, values: unknown[]): Promise<StoredSession | undefined> {
    const [row] = await database.query<StoredSession>({ name, text, values });
    return row;
  }

  /** Why a write found no row to change. */
  async function unchanged(id: string, { match, noneMatch }: Precondition): Promise<Problem> {
    const failed = match !== undefined || (noneMatch !== undefined && (await store.find(id)) !== undefined);
    return new Problem(failed ? 'precondition-failed' : 'session-not-found');
  }

  const store = {
    /** The session with an id, or undefined. */
    find: (id: string) => one('find', find, [id]),

    /** Stores a new session, or returns undefined when its id exists. */
    create: (write: SessionWrite) => one('create', insert, valuesOf(write)),

    /**
     * Stores a session in the place of what its id has, or anew.
     *
     * @throws `precondition-failed`
     */
    async replace(write: SessionWrite, precondition: Precondition): Promise<StoredSession & { created: boolean }> {
      const values = valuesOf(write);
      if (refusesAnyRow(precondition)) {
        const created = await store.create(write);
        if (!created) throw new Problem('precondition-failed');
        return { ...created, created: true };
      }
      const updated = await one('replace', update, [...values, ...tagValues(precondition)]);
      if (updated) return { ...updated, created: false };
      const problem = await unchanged(write.id, precondition);
      if (problem.code === 'precondition-failed') throw problem;
      const [row] = await database.query<StoredSession & { created: boolean }>({
        name: 'upsert',
        text: upsert,
        values,
      });
      if (!row) throw new Error('an upsert returned no row');
      return row;
    },

    /**
     * Applies a merge patch. Maps are merged where they are stored, so that concurrent patches of different
     * fields, keys of metadata included, both survive.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    async patch(id: string, changes: readonly Change[], precondition: Precondition): Promise<StoredSession> {
      if (refusesAnyRow(precondition)) throw await unchanged(id, precondition);
      const values: unknown[] = [id, ...tagValues(precondition)];
      const assignments = changes.map(({ column: { name, kind }, value, merge }) => {
        const placeholder = `$${values.push(encode(kind, value))}::${sqlTypes[kind]}`;
        return merge ? `"${name}" = json_merge_patch(s."${name}", ${placeholder})` : `"${name}" = ${placeholder}`;
      });
      // An empty patch changes nothing, and neither the version.
      const text =
        assignments.length === 0
          ? `SELECT ${returning} FROM checkout_session AS s WHERE s.id = $1 AND ${tagsSatisfy('$2', '$3')}`
          : `UPDATE checkout_session AS s SET ${[...assignments, ...touched].join(', ')}
            WHERE s.id = $1 AND ${tagsSatisfy('$2', '$3')} RETURNING ${returning}`;
      const [row] = await database.query<StoredSession>({ text, values });
      if (!row) throw await unchanged(id, precondition);
      return row;
    },

    /**
     * Deletes a session and leaves its tombstone.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    async remove(id: string, precondition: Precondition): Promise<void> {
      const gone =
        !refusesAnyRow(precondition) && (await one('remove', remove, [id, ...tagValues(precondition)])) !== undefined;
      if (!gone) throw await unchanged(id, precondition);
    },
    /** A page of the sessions that a query asks for. */
    async list(query: ListQuery): Promise<StoredPage> {
      const [{ documents, more }, count] = await Promise.all([page(query), countOf(query)]);
      const { cursor, ordering } = query;
      const neighbour = (side: Cursor['side'], document: string | undefined): Cursor | undefined => {
        if (document !== undefined) return cursorAt(JSON.parse(document) as Session, ordering, side);
        return cursor && { ...cursor, side };
      };
      const backward = cursor?.side === 'before';
      return {
        documents,
        next: more || backward ? neighbour('after', documents.at(-1)) : undefined,
        previous: backward
          ? more
            ? neighbour('before', documents[0])
            : undefined
          : cursor && neighbour('before', documents[0]),
        count,
      };
    },
  };

  /** The documents of a page, and whether there are more beyond it in the direction of travel. */
  async function page(query: ListQuery): Promise<{ documents: string[]; more: boolean }> {
    const documents: string[] = [];
    for (const statement of pageStatements(query)) {
      const missing = query.limit + 1 - documents.length;
      if (missing === 0) break;
      const rows = await database.query<{ document: string }>(statement(missing));
      documents.push(...rows.map((row) => row.document));
    }
    const more = documents.length > query.limit;
    if (more) documents.pop();
    if (query.cursor?.side === 'before') documents.reverse();
    return { documents, more };
  }

  async function countOf({ count, conditions }: ListQuery): Promise<number | null> {
    if (!count) return null;
    const matching = Prisma.sql`FROM checkout_session AS s WHERE ${all(conditions.map(conditionSql))}`;
    if (count === 'exact') {
      const [row] = await database.query<{ count: string }>(Prisma.sql`SELECT count(*)::text AS count ${matching}`);
      return Number(row?.count);
    }
    const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
      Prisma.sql`EXPLAIN (FORMAT JSON) SELECT ${matching}`,
    );
    return row?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? null;
  }
  return store;
}

function all(conditions: readonly Prisma.Sql[]): Prisma.Sql {
  return conditions.length === 0 ? Prisma.sql`true` : Prisma.join(conditions, ' AND ');
}

/**
 * The statements of a page, one after the other until it is full: nulls come last whatever the direction, and a
 * condition that speaks of values and nulls at once would read the whole index, so each is a range of its own.
 */
export function pageStatements({ conditions, ordering, cursor }: ListQuery): ((limit: number) => Prisma.Sql)[] {
  const { nullable, kind } = columns.find(({ name }) => name === ordering.column) as Column;
  const name = identifier(ordering.column);
  const backward = cursor?.side === 'before';
  const descending = ordering.descending !== backward;
  const direction = Prisma.raw(descending ? 'DESC' : 'ASC');
  const beyond = Prisma.raw(descending ? '<' : '>');
  const filters = conditions.flatMap((condition) => [conditionSql(condition), indexPredicate(condition) ?? []].flat());

  const values = (position: Cursor | undefined): Prisma.Sql[] => [
    ...(nullable ? [Prisma.sql`${name} IS NOT NULL`] : []),
    ...(position
      ? [Prisma.sql`(${name}, id) ${beyond} (${parameter(kind, position.value)}, ${position.id}::text)`]
      : []),
  ];
  const nulls = (position: Cursor | undefined): Prisma.Sql[] => [
    Prisma.sql`${name} IS NULL`,
    ...(position ? [Prisma.sql`id ${beyond} ${position.id}::text`] : []),
  ];
  const statement = (range: Prisma.Sql[]) => (limit: number) =>
    Prisma.sql`SELECT s.document FROM checkout_session AS s WHERE ${all([...range, ...filters])}
      ORDER BY ${name} ${direction}, id ${direction} LIMIT ${limit}::bigint`;

  if (!nullable) return [statement(values(cursor))];
  const amongNulls = cursor?.value === null;
  if (backward)
    return amongNulls ? [statement(nulls(cursor)), statement(values(undefined))] : [statement(values(cursor))];
  return amongNulls ? [statement(nulls(cursor))] : [statement(values(cursor)), statement(nulls(undefined))];
}
