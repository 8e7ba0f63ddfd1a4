import { type ChangeSource, type ChangeType, encodePosition, type Position } from '../model/changes.js';
import type { Database } from './engine/database.js';
import { paymentSql } from './sessions/payment.js';

/** Reads a page of the log of changes. */

/**
 * Returns the SQL of a change's stamp: its time in microseconds. After a backup is restored the sequence may give out a number
 * again. The stamp distinguishes the two changes.
 */
export const changeStampSql = (row: string) => `(extract(epoch FROM ${row}.at) * 1000000)::bigint`;

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
  /** Whether the log up to the horizon may continue after the page. */
  readonly hasMore: boolean;
}

export interface PageOptions {
  readonly horizon: number;
  readonly limit: number;
  readonly types?: readonly ChangeType[] | undefined;
}

/**
 * Reads the changes after a position. Returns undefined if the log does not know the position: the retention has removed it, or
 * a restored backup never had it.
 */
export async function readChanges(
  database: Pick<Database, 'query'>,
  after: Position,
  { horizon, limit, types }: PageOptions,
): Promise<ChangePage | undefined> {
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
