import type { SessionState, StripeEvent } from '../../model/stripe.js';
import { type ColumnTypes, stripeTypes, writtenTypes } from '../columns.js';
import { assignments, columnList, inputStatement, shardHint } from './statement.js';

/** The guarded upsert in which every path from Stripe ends. */

/** What became of a state: stored; older than what is stored; delivered before; of a session that was deleted. */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

/** A state, and the event that brought it. */
export interface Delivery {
  readonly state: SessionState;
  readonly event?: StripeEvent | undefined;
}

/** What a statement says of one state. */
interface OutcomeRow<Result> {
  readonly id: string;
  /** Null after a race with another write: the statement did nothing yet. */
  readonly outcome: Result | null;
}

const storedTypes: ColumnTypes = { ...writtenTypes, ...stripeTypes };
/** The columns of the event that the state does not have. */
const deliveryTypes: ColumnTypes = {
  type: 'text',
  account: 'text',
  event_livemode: 'boolean',
  event_created: 'bigint',
};
const stripeNames = Object.keys(stripeTypes);
/** The columns that a state may carry. Stripe's sessions have no description. */
const carriable = Object.keys(writtenTypes).filter((name) => name !== 'id' && name !== 'description');

/** Orders Stripe's states of a session: the stamp of a row. */
export const stateStampSql = (row: string) => `(${row}.stripe_progress, ${row}.stripe_second,
  ${row}.stripe_event_id COLLATE "C", coalesce(${row}.stripe_api_version, '') COLLATE "C")`;

/**
 * Holds where a state is newer than the one stored. Two snapshots of one second may have the same stamp: the later to arrive
 * counts as newer.
 */
const isNewer = `(s.stripe_progress IS NULL OR ${stateStampSql('s')} < ${stateStampSql('r')}
  OR ${stateStampSql('s')} = ${stateStampSql('r')} AND s.stripe_data IS DISTINCT FROM r.stripe_data)`;

/** The arguments of the functions in the migration: the stamp of a row. */
const stampArguments = (row: string) =>
  ['progress', 'second', 'event_id', 'api_version'].map((part) => `${row}.stripe_${part}`).join(', ');

/** The gaps that an older state fills; null where it fills none. A state that lacks the same columns fills none. */
const filledGaps = `CASE WHEN s.stripe_gaps <> r.stripe_gaps
  THEN stripe_gaps_filled(s.stripe_gaps, r.carried, ${stampArguments('r')}) END`;

/** The gaps after a newer state. Nearly always it lacks what the one before lacked. */
const gapsAfterNewer = `CASE WHEN s.stripe_gaps = r.stripe_gaps THEN s.stripe_gaps
  ELSE stripe_gaps_after_newer(s.stripe_gaps, r.stripe_gaps, ${stampArguments('s')}) END`;

/** Returns the columns that may change, each with its value after the columns of a JSON array were taken from the state `r`. */
const taking = (taken: string) =>
  carriable.map((name) => [name, `CASE WHEN ${taken} ? '${name}' THEN r."${name}" ELSE s."${name}" END`] as const);

/** Holds where taking columns from the state `r` changes the session. */
const changes = (taken: string) =>
  carriable.map((name) => `${taken} ? '${name}' AND s."${name}" IS DISTINCT FROM r."${name}"`).join(' OR ');

/** Raises the version and the time of a session that changes. A new stamp alone is no change. OFFSET 0 evaluates that once. */
const versionBumpIf = (isChanged: string) => `(version, djstripe_updated) = (
    SELECT s.version + c.is_changed::integer,
      CASE WHEN c.is_changed THEN greatest(r.at, s.djstripe_updated) ELSE s.djstripe_updated END
    FROM (SELECT ${isChanged} AS is_changed OFFSET 0) AS c
  )`;

const inputTypes: ColumnTypes = { ...storedTypes, ...deliveryTypes, carried: 'jsonb' };

/**
 * Logs the events of states whose outcome is known, and returns the outcomes. An event that the ledger has in another API
 * version is merged too: a second endpoint may deliver it in the shape of its own version. The ledger keeps one entry, with the
 * greatest version.
 */
const logging = `logged AS (
    INSERT INTO stripe_event AS e (session_id, id, type, account, livemode, api_version, created, outcome)
    SELECT id, stripe_event_id, type, account, event_livemode, stripe_api_version, to_timestamp(event_created), outcome
    FROM result WHERE type IS NOT NULL AND outcome IN ('applied', 'stale', 'deleted')
    ON CONFLICT (session_id, id) DO UPDATE SET
      api_version = greatest(e.api_version COLLATE "C", excluded.api_version COLLATE "C"),
      outcome = CASE WHEN excluded.outcome = 'applied' THEN 'applied' ELSE e.outcome END
    WHERE coalesce(e.api_version, '') COLLATE "C" < coalesce(excluded.api_version, '') COLLATE "C"
      OR excluded.outcome = 'applied'
    RETURNING session_id
  )
  SELECT id, CASE
    WHEN outcome IN ('stale', 'deleted') AND (is_logged OR type IS NOT NULL AND id NOT IN (SELECT session_id FROM logged))
      THEN 'duplicate'
    ELSE outcome
  END AS outcome FROM result`;
const loggedColumns = ['id', 'stripe_event_id', 'stripe_api_version', ...Object.keys(deliveryTypes)];

/**
 * Stores states of different sessions, and the ledger, in one statement. `stored` has the sessions of the snapshot, each with
 * the outcome of a state that is not newer. Sessions in it are updated, others inserted. An outcome of null means that the
 * session came, went or changed since the snapshot, and the statement did nothing for it yet. It did nothing either for a state
 * that `fills` a gap: {@link fillGaps} does.
 *
 * A value of the sequence is taken only for a row that is to be inserted: djstripe_id must stay below 2^31.
 */
export const applyStates = inputStatement<Delivery, OutcomeRow<Outcome | 'fills'>>({
  name: 'apply',
  types: inputTypes,
  sql: `, stored AS MATERIALIZED (
    SELECT s.id, e.id IS NOT NULL AS is_logged, CASE
      WHEN e.id IS NOT NULL AND e.api_version IS NOT DISTINCT FROM r.stripe_api_version THEN 'duplicate'
      WHEN s.version = 0 THEN 'deleted'
      WHEN ${isNewer} THEN NULL
      WHEN ${filledGaps} IS NOT NULL THEN 'fills'
      ELSE 'stale'
    END AS outcome
    FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
      LEFT JOIN stripe_event AS e ON e.session_id = s.id AND e.id = r.stripe_event_id
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments([
      ...taking('r.carried'),
      ...stripeNames.map((name) => [name, name === 'stripe_gaps' ? gapsAfterNewer : `r.${name}`] as const),
    ])}, ${versionBumpIf(`s.stripe_data IS DISTINCT FROM r.stripe_data OR ${changes('r.carried')}`)}
    FROM (SELECT r.*, now() AS at FROM input AS r WHERE r.id IN (SELECT id FROM stored WHERE outcome IS NULL)) AS r
    WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0 AND ${isNewer} RETURNING s.id
  ), inserted AS (
    INSERT INTO checkout_session AS s (${columnList(storedTypes)})
    SELECT ${columnList(storedTypes)} FROM input AS r WHERE r.id NOT IN (SELECT id FROM stored)
    ON CONFLICT (id) DO NOTHING RETURNING s.id
  ), result AS MATERIALIZED (
    SELECT ${loggedColumns.map((name) => `r."${name}"`).join(', ')}, s.is_logged, CASE
      WHEN r.id IN (SELECT id FROM updated UNION ALL SELECT id FROM inserted) THEN 'applied' ELSE s.outcome
    END AS outcome FROM input AS r LEFT JOIN stored AS s ON s.id = r.id
  ), ${logging}`,
  rowOf,
});

/**
 * Fills the gaps of sessions from older states, and logs their events. It is a statement of its own because it is rare: a state
 * fills a gap when events of several API versions arrive out of order. An outcome of null means that the session changed since.
 */
export const fillGaps = inputStatement<Delivery, OutcomeRow<Outcome>>({
  name: 'fill',
  types: inputTypes,
  sql: `, filling AS MATERIALIZED (
    SELECT r.*, now() AS at, ${filledGaps} AS filled, s.stripe_gaps AS seen
    FROM input AS r JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')} WHERE s.version <> 0 AND NOT ${isNewer}
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments([...taking('r.filled'), ['stripe_gaps', 's.stripe_gaps || r.filled']])},
      ${versionBumpIf(changes('r.filled'))}
    FROM filling AS r WHERE s.id = r.id ${shardHint('s.id')} AND s.version <> 0
      AND s.stripe_gaps = r.seen AND r.filled IS NOT NULL RETURNING s.id
  ), result AS MATERIALIZED (
    SELECT ${loggedColumns.map((name) => `r."${name}"`).join(', ')}, false AS is_logged,
      CASE WHEN r.id IN (SELECT id FROM updated) THEN 'applied' END AS outcome
    FROM input AS r
  ), ${logging}`,
  rowOf,
});

/** Returns a delivery as an input of the statements. */
function rowOf({ state, event }: Delivery) {
  const { raw, status, paymentStatus, apiVersion, stamp, defaults, carried } = state;
  // The columns last: V8 adds what follows a spread one by one.
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

/** Returns the gaps of a state: the columns that it does not carry, none of them filled. */
function gapsOf(carried: SessionState['carried']): Record<string, null> {
  const gaps: Record<string, null> = {};
  for (const name of carriable) if (carried[name as keyof typeof carried] === undefined) gaps[name] = null;
  return gaps;
}
