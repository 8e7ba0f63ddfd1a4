import { type ChangeSource, type ChangeType, encodePosition, type Position } from '../model/changes.js';
import { changeSequence } from './columns.js';
import { isDistributedTable } from './engine/citus.js';
import type { Database } from './engine/database.js';
import { maxRetentionDays, removeBatchSize } from './retention.js';
import { paymentSql } from './sessions/payment.js';

/**
 * Reads the log of changes, which triggers fill (see the migration).
 *
 * Numbers are drawn in one order and committed in another, so a reader that asks for `seq > $1` loses what commits late.
 * A writer therefore holds an advisory lock, from before it draws a number until its commit is visible. The lock says from
 * where on its numbers are. The horizon is the number before the first that may still come: up to it the log is settled.
 * A *later* statement must read the rows, as the snapshot of this one may be older than the horizon.
 */
const horizonSql = 'SELECT checkout_session_change_horizon()::float8 AS horizon';

/** The stamp of a change, which tells it from one of the same number in another history. */
const stampSql = (row: string) => `(extract(epoch FROM ${row}.at) * 1000000)::bigint`;

/** Rows that a filter looks at in one statement. */
const scanned = 10_000;

/**
 * Reads a page after the place `$1`, `$2`, up to the horizon `$3`: of at most `$4` rows those of the types `$6`, at most
 * `$5`. One row at least says whether the log knows the place, and as which place the page ends where nothing more matches.
 */
const pageSql = `WITH seen AS MATERIALIZED (
    SELECT c.*, ${stampSql('c')} AS stamp FROM checkout_session_change AS c
    WHERE c.seq > $1::bigint AND c.seq <= $3::bigint ORDER BY c.seq LIMIT $4::bigint
  ), picked AS (
    SELECT * FROM seen WHERE $6::text[] IS NULL OR type = ANY($6::text[]) ORDER BY seq LIMIT $5::bigint
  ), last AS (
    SELECT seq, stamp FROM seen ORDER BY seq DESC LIMIT 1
  )
  SELECT
    f.seq = $1::bigint OR f.seq < $1::bigint AND EXISTS (
      SELECT FROM checkout_session_change AS k WHERE k.seq = $1::bigint AND ${stampSql('k')} = $2::bigint
    ) AS "isKnown",
    (SELECT count(*) FROM seen)::int AS seen,
    (SELECT seq FROM last)::float8 AS "lastSeq", (SELECT stamp FROM last)::float8 AS "lastStamp", p.*
  FROM checkout_session_change_floor AS f LEFT JOIN (
    SELECT c.seq::float8 AS seq, c.stamp::float8 AS stamp, c.session_id AS "sessionId", c.version, c.type, c.source,
      c.old_status AS "oldStatus", c.old_payment_status AS "oldPaymentStatus", c.event_id AS "eventId",
      e.type AS "eventType", s.document AS session, ${paymentSql} AS payment
    FROM picked AS c
      LEFT JOIN checkout_session AS s ON s.id = c.session_id AND s.version <> 0
      LEFT JOIN stripe_event AS e ON e.session_id = c.session_id AND e.id = c.event_id
  ) AS p ON true
  ORDER BY p.seq`;

/** A change as it is stored, beside the present state of its session. */
interface StoredChange {
  readonly seq: number;
  readonly stamp: number;
  readonly sessionId: string;
  readonly version: number;
  readonly type: ChangeType;
  readonly source: ChangeSource;
  readonly oldStatus: string | null;
  readonly oldPaymentStatus: string | null;
  readonly eventId: string | null;
  readonly eventType: string | null;
  /** JSON. */
  readonly session: string | null;
  /** JSON. */
  readonly payment: string | null;
}

interface PageRow extends Omit<StoredChange, 'seq'> {
  readonly isKnown: boolean;
  readonly seen: number;
  readonly lastSeq: number | null;
  readonly lastStamp: number | null;
  /** Null where the page is empty. */
  readonly seq: number | null;
}

/** A change, ready to send. */
export interface PublishedChange {
  readonly id: string;
  readonly type: ChangeType;
  /** As the contract publishes it. */
  readonly json: string;
}

/** A part of the log. */
export interface ChangePage {
  readonly changes: readonly PublishedChange[];
  /** The place after it. */
  readonly end: Position;
  /** Whether more of the log is settled already. */
  readonly hasMore: boolean;
}

/** What may be asked of a page. */
export interface PageOptions {
  readonly horizon: number;
  readonly limit: number;
  readonly types?: readonly ChangeType[] | undefined;
}

/** How far readers can see. */
export interface ReaderDelay {
  /** Numbers that are drawn and not settled. */
  readonly lag: number;
  /** Seconds that the oldest transaction with such numbers is open; null where the role may not see it. */
  readonly oldest: number | null;
}

/** In this order: the numbers that are drawn, then the writers. */
const delaySql = `SELECT (coalesce(pg_sequence_last_value('${changeSequence}'), 0)
      - checkout_session_change_horizon())::float8 AS lag,
    (SELECT CASE WHEN count(*) = 0 THEN 0 ELSE extract(epoch FROM clock_timestamp() - min(a.xact_start)) END
      FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
      WHERE l.locktype = 'advisory' AND l.classid = 1667786855 AND l.objsubid = 2
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS oldest`;

/**
 * Removes a batch of changes from the old end of the log. Several replicas may do so at once: the lock of the floor's row
 * serialises them.
 */
const removeSql = `WITH floor AS MATERIALIZED (
    SELECT seq FROM checkout_session_change_floor FOR UPDATE
  ), oldest AS MATERIALIZED (
    SELECT c.seq, c.at < now() - make_interval(days => $1::integer) AS is_old FROM checkout_session_change AS c, floor
    WHERE c.seq > floor.seq AND c.seq <= $2::bigint ORDER BY c.seq LIMIT $3::bigint
  ), cut AS MATERIALIZED (
    SELECT max(seq) AS seq FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE NOT is_old), $2::bigint + 1)
  ), moved AS (
    UPDATE checkout_session_change_floor AS f SET seq = cut.seq FROM cut WHERE cut.seq > f.seq
  ), gone AS (
    DELETE FROM checkout_session_change AS c USING cut WHERE c.seq <= cut.seq RETURNING c.seq
  )
  SELECT count(*)::int AS removed FROM gone`;

export type ChangeStore = ReturnType<typeof changeStore>;

/** Reads the log of changes, and removes its old end. */
export function changeStore(database: Database) {
  let isDistributed: Promise<boolean> | undefined;

  async function horizon(): Promise<number> {
    const [row] = await database.query<{ horizon: number }>({ name: 'change-horizon', text: horizonSql, values: [] });
    return row?.horizon ?? 0;
  }

  async function removeBatch(days: number): Promise<number> {
    const values = [Math.min(days, maxRetentionDays), await horizon(), removeBatchSize];
    const [row] = await database.query<{ removed: number }>({ text: removeSql, values });
    return row?.removed ?? 0;
  }

  return {
    /** Returns whether Citus distributes the sessions: such a table has no triggers, so the log is empty. */
    isDistributed(): Promise<boolean> {
      isDistributed ??= isDistributedTable(database.query, 'checkout_session').catch((error) => {
        isDistributed = undefined;
        throw error;
      });
      return isDistributed;
    },

    /** Returns the number up to which the log is settled. */
    horizon,

    /** Returns the place before the oldest change that is kept. */
    async start(): Promise<Position> {
      const text = 'SELECT seq::float8 AS seq FROM checkout_session_change_floor';
      const [row] = await database.query<{ seq: number }>({ name: 'change-floor', text, values: [] });
      return { seq: row?.seq ?? 0, stamp: 0 };
    },

    /** Returns the place of the last change up to a horizon, or undefined where no change is kept. */
    async last(settled: number): Promise<Position | undefined> {
      const text = `SELECT c.seq::float8 AS seq, ${stampSql('c')}::float8 AS stamp FROM checkout_session_change AS c
        WHERE c.seq <= $1::bigint ORDER BY c.seq DESC LIMIT 1`;
      const [row] = await database.query<Position>({ name: 'change-last', text, values: [settled] });
      return row;
    },

    /** Reads the changes after a place; undefined where the log does not know it: it is too old, or of another history. */
    async read(after: Position, { horizon, limit, types }: PageOptions): Promise<ChangePage | undefined> {
      const rows = await database.query<PageRow>({
        name: 'changes',
        text: pageSql,
        values: [after.seq, after.stamp, horizon, types ? scanned : limit + 1, limit + 1, types ?? null],
      });
      const [first] = rows;
      if (!first?.isKnown) return undefined;
      const matching = rows.filter((row): row is PageRow & StoredChange => row.seq !== null);
      const kept = matching.slice(0, limit);
      const isCut = kept.length < matching.length;
      const seenLast = { seq: first.lastSeq ?? after.seq, stamp: first.lastStamp ?? after.stamp };
      const { seq, stamp } = (isCut ? kept.at(-1) : undefined) ?? seenLast;
      return { changes: kept.map(published), end: { seq, stamp }, hasMore: isCut || first.seen >= scanned };
    },

    /** Returns how far readers lag behind the writers. */
    async delay(): Promise<ReaderDelay> {
      const [row] = await database.query<ReaderDelay>({ name: 'change-delay', text: delaySql, values: [] });
      return row ?? { lag: 0, oldest: 0 };
    },

    /**
     * Removes the changes that the log has kept for some days, a batch at a time.
     *
     * @returns how many.
     */
    async removeOld(days: number, signal?: AbortSignal): Promise<number> {
      for (let removed = 0; ; ) {
        const batch = await removeBatch(days);
        removed += batch;
        if (batch < removeBatchSize || signal?.aborted) return removed;
      }
    },
  };
}

/** A change as the contract publishes it. The documents are passed through. */
function published(change: StoredChange): PublishedChange {
  const { type, sessionId, version, source, oldStatus, oldPaymentStatus, eventId, eventType } = change;
  const id = encodePosition(change);
  const previous = type === 'created' ? null : { status: oldStatus, payment_status: oldPaymentStatus };
  const event = eventId === null ? null : { id: eventId, type: eventType };
  const head = { id, type, session_id: sessionId, at: timeOf(change.stamp), version, source, previous, event };
  const json = `${JSON.stringify(head).slice(0, -1)},"session":${change.session},"payment":${change.payment}}`;
  return { id, type, json };
}

/** The time of a stamp, as the documents of sessions write times. */
function timeOf(stamp: number): string {
  const micros = String(stamp % 1000).padStart(3, '0');
  return `${new Date(Math.floor(stamp / 1000)).toISOString().slice(0, -1)}${micros}+00:00`;
}

const importMark = { text: `SELECT set_config('change_feed.source', 'import', true)`, values: [] };

/** Returns the database, on which the log names an import as the source of each change. */
export function asImport(database: Database): Database {
  const transaction: Database['transaction'] = (work) =>
    database.transaction(async (query) => {
      await query(importMark);
      return work(query);
    });
  return { ...database, transaction, query: (statement) => transaction((query) => query(statement)) };
}
