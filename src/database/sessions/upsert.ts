import type { SessionState, StripeEvent } from '../../model/stripe.js';
import { type ColumnTypes, stripeTypes, writtenTypes } from '../columns.js';
import type { Database } from '../engine/database.js';
import { deliveryTypes, ledgerInputColumns, logEvents, logEventsSql, type StoredDelivery } from './ledger.js';
import { assignments, columnList, inputStatement, shardHint } from './statement.js';

/** Stores Stripe's states: the guarded upsert, and the statement that fills gaps. */

/**
 * The outcome of a delivery. The state was stored (`applied`) or is older than the stored one (`stale`). The event was
 * delivered before (`duplicate`). The session was deleted here (`deleted`).
 */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

/** A state of a session, and the event that brought it. A snapshot has no event. */
export interface Delivery {
  readonly state: SessionState;
  readonly event?: StripeEvent | undefined;
}

interface OutcomeRow<Result> {
  readonly id: string;
  /** Null if the delivery lost a race with another write. The statement then did nothing for it. */
  readonly outcome: Result | null;
}

const storedTypes: ColumnTypes = { ...writtenTypes, ...stripeTypes };
const stripeNames = Object.keys(stripeTypes);
/** The columns that a state may carry. Stripe's sessions have no description. */
const carriableNames = Object.keys(writtenTypes).filter((name) => name !== 'id' && name !== 'description');

/**
 * Returns the stamp of a row's state as an SQL row. Stamps order the states of a session: progress first, because Stripe's
 * progress never goes back, then the second, the event id and the API version.
 */
export const stateStampSql = (row: string) => `(${row}.stripe_progress, ${row}.stripe_second,
  ${row}.stripe_event_id COLLATE "C", coalesce(${row}.stripe_api_version, '') COLLATE "C")`;

/**
 * The SQL condition that the state `r` is newer than the stored state `s`. Two snapshots of one second may have the same stamp.
 * The one that arrives later then counts as newer.
 */
const isNewerSql = `(s.stripe_progress IS NULL OR ${stateStampSql('s')} < ${stateStampSql('r')}
  OR ${stateStampSql('s')} = ${stateStampSql('r')} AND s.stripe_data IS DISTINCT FROM r.stripe_data)`;

/** Returns the stamp of a row as arguments of the SQL functions for gaps. */
const stampArguments = (row: string) =>
  ['progress', 'second', 'event_id', 'api_version'].map((part) => `${row}.stripe_${part}`).join(', ');

/**
 * The SQL of the gaps that an older state `r` fills, or null. A gap is a column that the newest state lacks. A state that lacks
 * the same columns fills none, which is the usual case and skips the function.
 */
const filledGapsSql = `CASE WHEN s.stripe_gaps <> r.stripe_gaps
  THEN stripe_gaps_filled(s.stripe_gaps, r.carried, ${stampArguments('r')}) END`;

/** The SQL of the gaps after a newer state `r`. Nearly always it lacks the same columns as the state before. */
const gapsAfterNewerSql = `CASE WHEN s.stripe_gaps = r.stripe_gaps THEN s.stripe_gaps
  ELSE stripe_gaps_after_newer(s.stripe_gaps, r.stripe_gaps, ${stampArguments('s')}) END`;

/**
 * Returns assignments that copy columns from the state `r` and keep the others.
 *
 * @param copied the SQL of a jsonb that has the names of the copied columns as its elements or keys.
 */
const copyColumns = (copied: string) =>
  carriableNames.map(
    (name) => [name, `CASE WHEN ${copied} ? '${name}' THEN r."${name}" ELSE s."${name}" END`] as const,
  );

/** Returns the SQL condition that such a copy changes the session. */
const copyChangesSql = (copied: string) =>
  carriableNames.map((name) => `${copied} ? '${name}' AND s."${name}" IS DISTINCT FROM r."${name}"`).join(' OR ');

/**
 * Returns the assignment that raises the version and djstripe_updated if a condition holds. A new stamp alone is no change. The
 * FROM clause must give `r` a column `at`, the time of the write.
 * OFFSET 0 keeps the planner from inlining the subquery, so PostgreSQL evaluates the long condition once.
 */
const versionBumpIfSql = (isChanged: string) => `(version, djstripe_updated) = (
    SELECT s.version + c.is_changed::integer,
      CASE WHEN c.is_changed THEN greatest(r.at, s.djstripe_updated) ELSE s.djstripe_updated END
    FROM (SELECT ${isChanged} AS is_changed OFFSET 0) AS c
  )`;

const inputTypes: ColumnTypes = { ...storedTypes, ...deliveryTypes, carried: 'jsonb' };

/**
 * Returns the CTEs that store states of different sessions. The last one, `result`, has the outcomes. All CTEs of a statement see
 * the same database snapshot. `stored` holds the sessions that exist in it. Its outcome is null where the statement should update
 * the row. Otherwise it is the reason not to: `duplicate`, `deleted`, `fills` or `stale`. The statement inserts the sessions that
 * `stored` lacks. If a concurrent write creates, deletes or changes a session after the database snapshot, the statement does
 * nothing for it and the outcome stays null. {@link fillGaps} stores the states that `fills` marks.
 *
 * An INSERT … ON CONFLICT for all states would draw from the sequence of djstripe_id for each, and djstripe_id must stay below
 * 2^31. This statement draws only for the rows it inserts.
 *
 * @param withStored a WITH clause of the INSERT that replaces `stored` there.
 */
const storeSql = (withStored = '') => `, stored AS MATERIALIZED (
    SELECT s.id, e.id IS NOT NULL AS is_logged, CASE
      WHEN e.id IS NOT NULL AND e.api_version IS NOT DISTINCT FROM r.stripe_api_version THEN 'duplicate'
      WHEN s.version = 0 THEN 'deleted'
      WHEN ${isNewerSql} THEN NULL
      WHEN ${filledGapsSql} IS NOT NULL THEN 'fills'
      ELSE 'stale'
    END AS outcome
    FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
      LEFT JOIN stripe_event AS e ON e.session_id = s.id AND e.id = r.stripe_event_id
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments([
      ...copyColumns('r.carried'),
      ...stripeNames.map((name) => [name, name === 'stripe_gaps' ? gapsAfterNewerSql : `r.${name}`] as const),
    ])}, ${versionBumpIfSql(`s.stripe_data IS DISTINCT FROM r.stripe_data OR ${copyChangesSql('r.carried')}`)}
    FROM (SELECT r.*, now() AS at FROM input AS r WHERE r.id IN (SELECT id FROM stored WHERE outcome IS NULL)) AS r
    WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0 AND ${isNewerSql} RETURNING s.id
  ), inserted AS (
    ${withStored} INSERT INTO checkout_session AS s (${columnList(storedTypes)})
    SELECT ${columnList(storedTypes)} FROM input AS r WHERE r.id NOT IN (SELECT id FROM stored)
    ON CONFLICT (id) DO NOTHING RETURNING s.id
  ), result AS MATERIALIZED (
    SELECT ${ledgerInputColumns.map((name) => `r."${name}"`).join(', ')}, s.is_logged, CASE
      WHEN r.id IN (SELECT id FROM updated UNION ALL SELECT id FROM inserted) THEN 'applied' ELSE s.outcome
    END AS outcome FROM input AS r LEFT JOIN stored AS s ON s.id = r.id
  )`;

/** Stores states and their events in one statement. */
export const applyStates = inputStatement<Delivery, OutcomeRow<Outcome | 'fills'>>({
  name: 'apply',
  types: inputTypes,
  sql: `${storeSql()}, ${logEventsSql('result')}`,
  rowOf,
});

/**
 * Stores states without their events, and returns what {@link logEvents} needs. Citus sends a CTE that an INSERT … SELECT reads to
 * every worker (13.2): with {@link applyStates} one worker that is away would stop all events. A CTE of the INSERT itself is read
 * on the coordinator, where the sequence of djstripe_id is.
 */
const storeStates = inputStatement<Delivery, StoredDelivery & OutcomeRow<Outcome | 'fills'>>({
  name: 'store',
  types: inputTypes,
  sql: `${storeSql(`WITH stored AS MATERIALIZED (
      SELECT s.id FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
    )`)} SELECT * FROM result`,
  rowOf,
});

/** Does what {@link applyStates} does in two statements of one transaction, for Citus. */
export async function applyStatesOnCitus(
  database: Pick<Database, 'transaction'>,
  deliveries: readonly Delivery[],
): Promise<OutcomeRow<Outcome | 'fills'>[]> {
  return database.transaction(async (query) => {
    const stored = await storeStates(query, deliveries);
    const withEvent = stored.filter(({ outcome, type }) => outcome !== null && type !== null);
    if (withEvent.length === 0) return stored;
    const logged = new Map((await logEvents(query, withEvent)).map(({ id, outcome }) => [id, outcome]));
    return stored.map(({ id, outcome }) => ({ id, outcome: (logged.get(id) as Outcome | undefined) ?? outcome }));
  });
}

/**
 * Fills gaps of sessions from older states, and logs their events. A state fills a gap when events of several API versions
 * arrive out of order. That is rare, so a statement of its own keeps {@link applyStates} short. The outcome is null if another
 * write changed the gaps after the database snapshot. It is never `stale` or `deleted`, the only outcomes for which the ledger
 * reads `is_logged`, so a constant serves there.
 */
export const fillGaps = inputStatement<Delivery, OutcomeRow<Outcome>>({
  name: 'fill',
  types: inputTypes,
  sql: `, filling AS MATERIALIZED (
    SELECT r.*, now() AS at, ${filledGapsSql} AS filled, s.stripe_gaps AS seen
    FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')} WHERE s.version <> 0 AND NOT ${isNewerSql}
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments([...copyColumns('r.filled'), ['stripe_gaps', 's.stripe_gaps || r.filled']])},
      ${versionBumpIfSql(copyChangesSql('r.filled'))}
    FROM filling AS r WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0
      AND s.stripe_gaps = r.seen AND r.filled IS NOT NULL RETURNING s.id
  ), result AS MATERIALIZED (
    SELECT ${ledgerInputColumns.map((name) => `r."${name}"`).join(', ')}, false AS is_logged,
      CASE WHEN r.id IN (SELECT id FROM updated) THEN 'applied' END AS outcome
    FROM input AS r
  ), ${logEventsSql('result')}`,
  rowOf,
});

/** Returns a delivery as an input of the statements. */
function rowOf({ state, event }: Delivery) {
  const { raw, status, paymentStatus, apiVersion, stamp, defaults, carried } = state;
  // The spreads come last: V8 adds each property after a spread one by one, which is slower.
  return {
    carried: Object.keys(carried),
    stripe_data: raw,
    status,
    payment_status: paymentStatus,
    stripe_progress: stamp.progress,
    stripe_second: stamp.second,
    stripe_event_id: stamp.eventId,
    stripe_api_version: apiVersion,
    stripe_gaps: gapsOf(carried),
    type: event?.type,
    account: event?.account,
    event_livemode: event?.livemode,
    event_created: event?.created,
    ...defaults,
    ...carried,
  };
}

/** Returns the gaps of a state: each column that it does not carry, with null because no state has filled it. */
function gapsOf(carried: SessionState['carried']): Record<string, null> {
  const gaps: Record<string, null> = {};
  for (const name of carriableNames) if (carried[name as keyof typeof carried] === undefined) gaps[name] = null;
  return gaps;
}
