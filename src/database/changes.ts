import { type ChangeSource, type ChangeType, encodePosition, type Position } from '../model/changes.js';
import { changeSequence } from './columns.js';
import { isDistributedTable } from './engine/citus.js';
import type { Database } from './engine/database.js';
import { maxRetentionDays, removeBatchSize } from './retention.js';
import { paymentSql } from './sessions/payment.js';

/**
 * Returns the horizon of the log. Triggers fill the log (see the migration).
 *
 * Transactions draw numbers from a sequence in one order and commit in another. A reader that asks for `seq > $1` would miss a
 * lower number that commits later. So each writer takes an advisory lock before it draws its first number, and holds it until
 * its commit is visible. The key of the lock is the last number drawn before. The horizon is the last number before those of
 * all open writers: up to it the log is settled.
 *
 * Read the rows in a *later* statement. The snapshot of this statement may be older than the horizon that it returns.
 */
const horizonSql = 'SELECT checkout_session_change_horizon()::float8 AS horizon';

/**
 * Returns the SQL of a change's stamp: its time in microseconds. After a backup is restored the sequence may give out a number
 * again. The stamp distinguishes the two changes.
 */
const changeStampSql = (row: string) => `(extract(epoch FROM ${row}.at) * 1000000)::bigint`;

/** Maximum number of rows that a filter by type reads in one statement. */
const maxScannedRows = 10_000;

/**
 * Reads a page of the log after the position `$1` (seq) and `$2` (stamp), up to the horizon `$3`. It scans at most `$4` rows and
 * returns at most `$5` of them, of the types `$6` (null for all types).
 *
 * The LEFT JOIN returns at least one row. `isKnown` says whether the log knows the position: it is the floor, or its change is
 * still there with the same stamp. `lastSeq` and `lastStamp` are the last scanned row, where the page ends if no row is left.
 *
 * `seen` is materialized, because three parts of the statement read it.
 */
const pageSql = `WITH seen AS MATERIALIZED (
    SELECT c.*, ${changeStampSql('c')} AS stamp FROM checkout_session_change AS c
    WHERE c.seq > $1::bigint AND c.seq <= $3::bigint ORDER BY c.seq LIMIT $4::bigint
  ), picked AS (
    SELECT * FROM seen WHERE $6::text[] IS NULL OR type = ANY($6::text[]) ORDER BY seq LIMIT $5::bigint
  ), last AS (
    SELECT seq, stamp FROM seen ORDER BY seq DESC LIMIT 1
  )
  SELECT
    f.seq = $1::bigint OR f.seq < $1::bigint AND EXISTS (
      SELECT FROM checkout_session_change AS k WHERE k.seq = $1::bigint AND ${changeStampSql('k')} = $2::bigint
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

/** A change with the present state of its session. */
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
  /** The session as JSON, or null if it is deleted. */
  readonly session: string | null;
  /** The payment as JSON, or null without a state from Stripe. */
  readonly payment: string | null;
}

interface PageRow extends Omit<StoredChange, 'seq'> {
  readonly isKnown: boolean;
  readonly seen: number;
  readonly lastSeq: number | null;
  readonly lastStamp: number | null;
  /** Null if the page is empty. */
  readonly seq: number | null;
}

/** A change, ready to send. */
export interface PublishedChange {
  readonly id: string;
  readonly type: ChangeType;
  /** The change as the contract publishes it. */
  readonly json: string;
}

/** A page of the log. */
export interface ChangePage {
  readonly changes: readonly PublishedChange[];
  /** The position after the page. */
  readonly end: Position;
  /** Whether the log up to the horizon continues after the page. */
  readonly hasMore: boolean;
}

export interface PageOptions {
  readonly horizon: number;
  readonly limit: number;
  readonly types?: readonly ChangeType[] | undefined;
}

/** The delay of readers behind writers. */
export interface ReaderDelay {
  /** Number of changes that are logged and not settled. */
  readonly lag: number;
  /** Age in seconds of the oldest open transaction with such changes. Null if the role may not see that transaction. */
  readonly oldest: number | null;
}

/**
 * Reads the delay of readers: first the sequence, then the horizon. A writer that starts between the two can make the lag too
 * small, but not too large.
 */
const delaySql = `SELECT (coalesce(pg_sequence_last_value('${changeSequence}'), 0)
      - checkout_session_change_horizon())::float8 AS lag,
    (SELECT CASE WHEN count(*) = 0 THEN 0 ELSE extract(epoch FROM clock_timestamp() - min(a.xact_start)) END
      FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
      WHERE l.locktype = 'advisory' AND l.classid = 1667786855 AND l.objsubid = 2
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS oldest`;

/**
 * Removes a batch of old changes: at most `$3` changes older than `$1` days, up to the horizon `$2`. It stops before the first
 * change that is not old, so the log stays contiguous, and it raises the floor in the same statement. Several replicas may run
 * it at the same time: FOR UPDATE on the floor's row serialises them.
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

/** Reads the log of changes, and removes old changes. */
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
    /** Returns whether Citus distributes the sessions. A distributed table has no triggers, so its log is empty. */
    isDistributed(): Promise<boolean> {
      isDistributed ??= isDistributedTable(database.query, 'checkout_session').catch((error) => {
        isDistributed = undefined;
        throw error;
      });
      return isDistributed;
    },

    /** Returns the number up to which the log is settled. */
    horizon,

    /** Returns the position before the oldest change in the log. */
    async start(): Promise<Position> {
      const text = 'SELECT seq::float8 AS seq FROM checkout_session_change_floor';
      const [row] = await database.query<{ seq: number }>({ name: 'change-floor', text, values: [] });
      return { seq: row?.seq ?? 0, stamp: 0 };
    },

    /** Returns the position of the last change up to a horizon, or undefined if the log is empty. */
    async last(horizon: number): Promise<Position | undefined> {
      const text = `SELECT c.seq::float8 AS seq, ${changeStampSql('c')}::float8 AS stamp FROM checkout_session_change AS c
        WHERE c.seq <= $1::bigint ORDER BY c.seq DESC LIMIT 1`;
      const [row] = await database.query<Position>({ name: 'change-last', text, values: [horizon] });
      return row;
    },

    /**
     * Reads the changes after a position. Returns undefined if the log does not know the position: the retention has removed it,
     * or a restored backup never had it.
     */
    async read(after: Position, { horizon, limit, types }: PageOptions): Promise<ChangePage | undefined> {
      const rows = await database.query<PageRow>({
        name: 'changes',
        text: pageSql,
        values: [after.seq, after.stamp, horizon, types ? maxScannedRows : limit + 1, limit + 1, types ?? null],
      });
      const [first] = rows;
      if (!first?.isKnown) return undefined;
      const matching = rows.filter((row): row is PageRow & StoredChange => row.seq !== null);
      const changes = matching.slice(0, limit);
      const isCut = changes.length < matching.length;
      const lastScanned = { seq: first.lastSeq ?? after.seq, stamp: first.lastStamp ?? after.stamp };
      const { seq, stamp } = (isCut ? changes.at(-1) : undefined) ?? lastScanned;
      return { changes: changes.map(publish), end: { seq, stamp }, hasMore: isCut || first.seen >= maxScannedRows };
    },

    /** Returns the delay of readers behind writers. */
    async delay(): Promise<ReaderDelay> {
      const [row] = await database.query<ReaderDelay>({ name: 'change-delay', text: delaySql, values: [] });
      return row ?? { lag: 0, oldest: 0 };
    },

    /**
     * Removes the changes that are older than `days` days, in batches. Stops after the current batch when the signal aborts.
     *
     * @returns the number of removed changes.
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

/** Returns a change as the contract publishes it. The documents of PostgreSQL pass through unparsed. */
function publish(change: StoredChange): PublishedChange {
  const { type, sessionId, version, source, oldStatus, oldPaymentStatus, eventId, eventType } = change;
  const id = encodePosition(change);
  const previous = type === 'created' ? null : { status: oldStatus, payment_status: oldPaymentStatus };
  const event = eventId === null ? null : { id: eventId, type: eventType };
  const head = { id, type, session_id: sessionId, at: formatStamp(change.stamp), version, source, previous, event };
  const json = `${JSON.stringify(head).slice(0, -1)},"session":${change.session},"payment":${change.payment}}`;
  return { id, type, json };
}

/** Returns the time of a stamp in the format of a session's document. */
function formatStamp(stamp: number): string {
  const micros = String(stamp % 1000).padStart(3, '0');
  return `${new Date(Math.floor(stamp / 1000)).toISOString().slice(0, -1)}${micros}+00:00`;
}

/** Sets the source for the rest of the transaction. The triggers read this setting. */
const setImportSource = { text: `SELECT set_config('change_feed.source', 'import', true)`, values: [] };

/** Returns a database whose changes have the source `import` in the log. Each statement runs in a transaction that sets it. */
export function asImport(database: Database): Database {
  const transaction: Database['transaction'] = (work) =>
    database.transaction(async (query) => {
      await query(setImportSource);
      return work(query);
    });
  return { ...database, transaction, query: (statement) => transaction((query) => query(statement)) };
}
