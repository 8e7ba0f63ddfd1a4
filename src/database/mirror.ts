import { writableColumns } from '../model/session.js';
import type { SessionState, StripeEvent } from '../model/stripe.js';
import { type BatchObserver, batching, decided, type LockLimit, writeBatch } from './batch.js';
import type { Database } from './database.js';
import { retrying } from './failures.js';
import { typesOf } from './session-writes.js';

/** What became of a state: stored; older than what is stored; delivered before; of a session that was deleted. */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

/** A state, and the event that brought it. */
interface Delivery {
  readonly state: SessionState;
  readonly event?: StripeEvent | undefined;
}

/** What Stripe's states bring beside the published columns, and of which type: the raw object, the stamp, the gaps. */
export const stripeTypes = {
  stripe_data: 'jsonb',
  status: 'text',
  payment_status: 'text',
  stripe_progress: 'smallint',
  stripe_second: 'bigint',
  stripe_event_id: 'text',
  stripe_api_version: 'text',
  stripe_gaps: 'jsonb',
} as const;
const eventTypes = { type: 'text', account: 'text', event_livemode: 'boolean', event_created: 'bigint' };
const stripeNames = Object.keys(stripeTypes);
/** The columns that a state may carry. Stripe's sessions have no description. */
const carriable = writableColumns.filter(({ name }) => name !== 'id' && name !== 'description').map(({ name }) => name);

const rowNames = [...writableColumns.map(({ name }) => `"${name}"`), ...stripeNames].join(', ');
const rowTypes = [
  typesOf(writableColumns),
  ...Object.entries({ ...stripeTypes, ...eventTypes }).map(([name, type]) => `${name} ${type}`),
].join(', ');

/** Orders Stripe's states of a session: the stamp of a row. */
export const stampOf = (row: string) => `(${row}.stripe_progress, ${row}.stripe_second,
  ${row}.stripe_event_id COLLATE "C", coalesce(${row}.stripe_api_version, '') COLLATE "C")`;

/**
 * Holds where a state of Stripe's is newer than the one stored. Two snapshots of one second may have the same stamp:
 * the later to arrive counts as newer.
 */
const isNewerThan = (row: string) => `(${row}.stripe_progress IS NULL OR ${stampOf(row)} < ${stampOf('r')}
  OR ${stampOf(row)} = ${stampOf('r')} AND ${row}.stripe_data IS DISTINCT FROM r.stripe_data)`;

/** The arguments of the functions in the migration: the stamp of a row. */
const stampArguments = (row: string) =>
  ['progress', 'second', 'event_id', 'api_version'].map((part) => `${row}.stripe_${part}`).join(', ');

/** The gaps that an older state fills; null where there are none, as is plain where it lacks the very same columns. */
const filledGaps = (row: string) => `CASE WHEN ${row}.stripe_gaps <> r.stripe_gaps
  THEN stripe_gaps_filled(${row}.stripe_gaps, r.carried, ${stampArguments('r')}) END`;

/** Holds where a state changes what is stored: it is newer, or carries a column that newer states lack. */
const appliesTo = (row: string) => `(${isNewerThan(row)} OR ${filledGaps(row)} IS NOT NULL)`;

/** The gaps after a state. Nearly always the newer state lacks what the one before lacked. */
const gapsAfter = `CASE
  WHEN NOT m.is_newer THEN s.stripe_gaps || m.taken
  WHEN s.stripe_gaps = r.stripe_gaps THEN s.stripe_gaps
  ELSE stripe_gaps_after_newer(s.stripe_gaps, r.stripe_gaps, ${stampArguments('s')})
END`;

/** The value of each column after a state that takes the columns `m.taken`. */
const merged: readonly (readonly [name: string, value: string])[] = [
  ...carriable.map((name) => [name, `CASE WHEN m.taken ? '${name}' THEN r."${name}" ELSE s."${name}" END`] as const),
  ...stripeNames.map((name) => {
    return [
      name,
      name === 'stripe_gaps' ? gapsAfter : `CASE WHEN m.is_newer THEN r.${name} ELSE s.${name} END`,
    ] as const;
  }),
];
const mergedNames = merged.map(([name]) => `"${name}"`);

/** The columns whose change is a change of the session. A new stamp alone is none. */
const visible = (row: string) => ['stripe_data', ...carriable].map((name) => `${row}."${name}"`).join(', ');

/** Merges the state `r` into the session `s`. OFFSET 0 works each level out once, rather than once for each column. */
const mergeSql = `(${mergedNames.join(', ')}, version, djstripe_updated) = (
    SELECT ${mergedNames.map((name) => `n.${name}`).join(', ')}, s.version + n.is_changed::integer,
      CASE WHEN n.is_changed THEN greatest(clock_timestamp(), s.djstripe_updated) ELSE s.djstripe_updated END
    FROM (
      SELECT n.*, (${visible('n')}) IS DISTINCT FROM (${visible('s')}) AS is_changed
      FROM (
        SELECT ${merged.map(([name, value]) => `${value} AS "${name}"`).join(', ')}
        FROM (
          SELECT m.is_newer, CASE WHEN m.is_newer THEN r.carried ELSE ${filledGaps('s')} END AS taken
          FROM (SELECT ${isNewerThan('s')} AS is_newer OFFSET 0) AS m OFFSET 0
        ) AS m OFFSET 0
      ) AS n OFFSET 0
    ) AS n
  )`;

/**
 * Any number of states, of different sessions, and the ledger, in one statement. A session is updated where the
 * snapshot has it and inserted where it does not; an outcome of null means that it came, went or changed meanwhile, and
 * nothing was done yet: what is no longer there is not stale, and may have been made anew. A value of the sequence is
 * taken only for a row that is to be inserted: djstripe_id must stay below 2^31. The ids are in one order in every
 * group, as are the locks. No EXISTS: the planner may answer one from a hash of the whole ledger.
 *
 * An event that the ledger has in another API version is merged too: a second endpoint may deliver it in the shape of
 * its own version. The ledger keeps one entry, with the greatest version.
 */
const applySql = `WITH input AS MATERIALIZED (
    SELECT r.*, (SELECT ${appliesTo('c')} FROM checkout_session AS c WHERE c.id = r.id) AS applies,
      (SELECT e.api_version IS NOT DISTINCT FROM r.stripe_api_version FROM stripe_event AS e
        WHERE e.session_id = r.id AND e.id = r.stripe_event_id) AS is_repeated
    FROM jsonb_to_recordset($1::jsonb) AS r (${rowTypes}, carried jsonb) ORDER BY r.id COLLATE "C"
  ), updated AS (
    UPDATE checkout_session AS s SET ${mergeSql}
    FROM input AS r WHERE s.id = r.id AND r.is_repeated IS NOT TRUE AND ${appliesTo('s')} RETURNING s.id
  ), absent AS MATERIALIZED (
    SELECT r.id, checkout_session_is_deleted(r.id) AS is_deleted FROM input AS r
    WHERE r.applies IS NULL AND r.is_repeated IS NOT TRUE
  ), inserted AS (
    INSERT INTO checkout_session AS s (${rowNames})
    SELECT ${rowNames} FROM input AS r WHERE r.id IN (SELECT id FROM absent WHERE NOT is_deleted)
    ON CONFLICT (id) DO NOTHING RETURNING s.id
  ), result AS (
    SELECT r.id, r.stripe_event_id, r.stripe_api_version, ${Object.keys(eventTypes).join(', ')}, r.is_repeated, CASE
      WHEN r.is_repeated THEN 'duplicate'
      WHEN r.id IN (SELECT id FROM updated UNION ALL SELECT id FROM inserted) THEN 'applied'
      WHEN NOT r.applies THEN 'stale'
      WHEN r.id IN (SELECT id FROM absent WHERE is_deleted) THEN 'deleted'
    END AS outcome FROM input AS r
  ), logged AS (
    INSERT INTO stripe_event AS e (session_id, id, type, account, livemode, api_version, created, outcome)
    SELECT id, stripe_event_id, type, account, event_livemode, stripe_api_version, to_timestamp(event_created), outcome
    FROM result WHERE type IS NOT NULL AND outcome <> 'duplicate'
    ON CONFLICT (session_id, id) DO UPDATE SET
      api_version = greatest(e.api_version COLLATE "C", excluded.api_version COLLATE "C"),
      outcome = CASE WHEN excluded.outcome = 'applied' THEN 'applied' ELSE e.outcome END
    WHERE coalesce(e.api_version, '') COLLATE "C" < coalesce(excluded.api_version, '') COLLATE "C"
      OR excluded.outcome = 'applied'
    RETURNING session_id
  )
  SELECT id, CASE
    WHEN outcome <> 'applied' AND (is_repeated IS NOT NULL OR type IS NOT NULL AND id NOT IN (SELECT session_id FROM logged))
      THEN 'duplicate'
    ELSE outcome
  END AS outcome FROM result`;

/** A delivery as a row of the statement, in JSON. */
function rowOf({ state, event }: Delivery): string {
  const { raw, status, paymentStatus, apiVersion, stamp, defaults, carried } = state;
  // The columns last: V8 adds what follows a spread one by one.
  const row = {
    carried: Object.keys(carried),
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
  return `{"stripe_data":${raw},${JSON.stringify(row).slice(1)}`;
}

/** The gaps of a state: the columns that it does not carry, none of them filled. */
function gapsOf(carried: SessionState['carried']): Record<string, null> {
  const gaps: Record<string, null> = {};
  for (const name of carriable) if (carried[name] === undefined) gaps[name] = null;
  return gaps;
}

export type MirrorStore = ReturnType<typeof mirrorStore>;

/** The one guarded upsert in which every path from Stripe ends. */
export function mirrorStore(database: Database, onBatch?: BatchObserver) {
  /** What became of each, in their order; undefined for what must be tried again. */
  function applyOnce(deliveries: readonly Delivery[], limit: LockLimit = {}): Promise<(Outcome | undefined)[]> {
    return retrying(async () => {
      const values = [`[${deliveries.map(rowOf).join()}]`];
      const rows = await database.query<{ id: string; outcome: Outcome | null }>({
        name: 'apply',
        text: applySql,
        values,
        ...limit,
      });
      const outcomes = new Map(rows.map(({ id, outcome }) => [id, outcome ?? undefined]));
      return deliveries.map(({ state }) => outcomes.get(state.id));
    });
  }

  const applyOne = batching({
    ...writeBatch,
    run: applyOnce,
    keyOf: ({ state }) => state.id,
    onBatch: onBatch && ((size) => onBatch('apply', size)),
  });

  return {
    /**
     * Stores a state where it is newer than what is stored, and the event that brought it in the ledger, in one
     * transaction. Any order and any repetition of a session's states ends in the same row.
     */
    apply: (state: SessionState, event?: StripeEvent): Promise<Outcome> => decided(() => applyOne({ state, event })),

    /**
     * Stores many snapshots, each as {@link apply} would, in one transaction. No two may be of the same session.
     *
     * @returns what became of each, in their order.
     */
    async applyAll(states: readonly SessionState[]): Promise<Outcome[]> {
      const outcomes = await applyOnce(states.map((state) => ({ state })));
      return Promise.all(states.map((state, index) => outcomes[index] ?? decided(() => applyOne({ state }))));
    },
  };
}
