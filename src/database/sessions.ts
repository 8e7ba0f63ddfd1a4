import { Problem } from '../errors.js';
import type { Precondition } from '../model/etag.js';
import type { ListQuery } from '../model/list.js';
import { type ColumnKind, columns, type SessionWrite, writableColumns } from '../model/session.js';
import type { Change } from '../model/session-request.js';
import { sqlTypes } from './conditions.js';
import type { Database, Statement } from './database.js';
import { type ListTable, listPage } from './list.js';

/** A session as it is stored: its response, ready to send, and its tag. */
export type StoredSession = Stored<string>;

interface Stored<Document> {
  /** JSON made by PostgreSQL. */
  readonly document: Document;
  /** The strong entity tag, with its quotes. */
  readonly etag: string;
}

/**
 * Serialises creating and deleting an id until the end of the transaction. Who creates takes it in a statement
 * before, so that the statement that creates sees every tombstone there is.
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

/** What every statement that changes a row sets besides. The time of the change: a statement may have waited. */
const touched = ['version = s.version + 1', 'djstripe_updated = greatest(clock_timestamp(), s.djstripe_updated)'];

/** The same, where a condition on the row holds. */
export function touchedWhere(condition: string): string[] {
  return [
    `version = CASE WHEN ${condition} THEN s.version + 1 ELSE s.version END`,
    `djstripe_updated = CASE WHEN ${condition} THEN greatest(clock_timestamp(), s.djstripe_updated)
      ELSE s.djstripe_updated END`,
  ];
}

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

/** The document with the property `payment` added. */
const documentWithPayment = `left(s.document, -1) || ',"payment":'
  || coalesce(checkout_session_payment(s.id, s.livemode, s.stripe_data), 'null') || '}'`;

const find = `SELECT ${returning} FROM checkout_session AS s WHERE s.id = $1`;
const findWithPayment = `SELECT ${documentWithPayment} AS document, ${etag} AS etag FROM checkout_session AS s WHERE s.id = $1`;

// What Stripe knows of a session; null where nothing came from Stripe.
const findPayment = `SELECT checkout_session_payment(s.id, s.livemode, s.stripe_data) AS document, ${etag} AS etag
  FROM checkout_session AS s WHERE s.id = $1`;
const findStripeData = `SELECT s.stripe_data::text AS document, ${etag} AS etag FROM checkout_session AS s WHERE s.id = $1`;

/** How the list reads: from which table, and what it passes through. */
export const sessionTable: ListTable = {
  name: 'checkout_session',
  nullable: ['created'],
  kinds: Object.fromEntries(columns.map(({ name, kind }) => [name, kind])),
  document: (include) => (include === 'payment' ? documentWithPayment : 's.document'),
};

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

/** Reads and writes of the sessions. Each write is committed when its promise resolves, or changes nothing. */
export function sessionStore(database: Database) {
  async function one<Document extends string | null = string>(name: string, text: string, values: unknown[]) {
    const [row] = await database.query<Stored<Document>>({ name, text, values });
    return row;
  }

  /** Runs the creation of an id while nobody else creates or deletes it, so that it sees every tombstone. */
  function locked<Row>(id: string, statement: Statement): Promise<Row | undefined> {
    return database.transaction(async (query) => {
      await query({ name: 'lock', text: `SELECT ${lockSession('$1')}`, values: [id] });
      const [row] = await query<Row>(statement);
      return row;
    });
  }

  /** Why a write found no row to change. */
  async function unchanged(id: string, { match, noneMatch }: Precondition): Promise<Problem> {
    const failed = match !== undefined || (noneMatch !== undefined && (await store.find(id)) !== undefined);
    return new Problem(failed ? 'precondition-failed' : 'session-not-found');
  }

  const store = {
    /** The session with an id, or undefined; with `payment` added when asked for. */
    find: (id: string, include?: 'payment') =>
      include ? one('find-payment', findWithPayment, [id]) : one('find', find, [id]),

    /** Whether a session is paid, and how much: from the raw object, null where there is none. */
    payment: (id: string) => one<string | null>('payment', findPayment, [id]),

    /** The raw Stripe object of a session's newest state, null where there is none. */
    stripeData: (id: string) => one<string | null>('stripe-data', findStripeData, [id]),

    /** The account that owns a session, as far as it is known. */
    async accountOf(id: string): Promise<string | undefined> {
      const text = 'SELECT djstripe_owner_account AS account FROM checkout_session WHERE id = $1';
      const [row] = await database.query<{ account: string | null }>({ name: 'account', text, values: [id] });
      return row?.account ?? undefined;
    },

    /** Stores a new session, or returns undefined when its id exists. */
    create: (write: SessionWrite) =>
      locked<StoredSession>(write.id, { name: 'create', text: insert, values: valuesOf(write) }),

    /**
     * Stores a session in the place of what its id has, or anew.
     *
     * @throws `precondition-failed`
     */
    async replace(write: SessionWrite, precondition: Precondition): Promise<StoredSession & { created: boolean }> {
      const values = valuesOf(write);
      if (refusesAnyRow(precondition)) {
        // If-Match asks for a session, and this for none.
        const created = precondition.match === undefined ? await store.create(write) : undefined;
        if (!created) throw new Problem('precondition-failed');
        return { ...created, created: true };
      }
      const updated = await one('replace', update, [...values, ...tagValues(precondition)]);
      if (updated) return { ...updated, created: false };
      const problem = await unchanged(write.id, precondition);
      if (problem.code === 'precondition-failed') throw problem;
      const row = await locked<StoredSession & { created: boolean }>(write.id, {
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
    list: (query: ListQuery) => listPage(database, sessionTable, query),
  };
  return store;
}
