import { type ColumnKind, writableColumns } from '../model/session.js';
import type { SessionState, StripeEvent } from '../model/stripe.js';
import { type BatchObserver, batching, decided, type LockLimit, writeBatch } from './batch.js';
import type { Database } from './database.js';
import { retrying } from './failures.js';
import { touchedWhere, typesOf } from './session-writes.js';

/** What became of a state: stored; older than what is stored; delivered before; of a session that was deleted. */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

/** A state, and the event that brought it. */
interface Delivery {
  readonly state: SessionState;
  readonly event?: StripeEvent | undefined;
}

/** What Stripe's states bring beside the published columns, and of which type: the raw object and the stamp. */
export const stripeTypes = {
  stripe_data: 'jsonb',
  status: 'text',
  payment_status: 'text',
  stripe_progress: 'smallint',
  stripe_second: 'bigint',
  stripe_event_id: 'text',
  stripe_api_version: 'text',
} as const;
const eventTypes = { type: 'text', account: 'text', event_livemode: 'boolean', event_created: 'bigint' };
const stripeNames = Object.keys(stripeTypes);
const carriable = writableColumns.filter(({ name }) => name !== 'id');

const rowNames = [...writableColumns.map(({ name }) => `"${name}"`), ...stripeNames].join(', ');
const rowTypes = [
  typesOf(writableColumns),
  ...Object.entries({ ...stripeTypes, ...eventTypes }).map(([name, type]) => `${name} ${type}`),
].join(', ');

/** What orders Stripe's states of a session, of a row. */
export const stampOf = (row: string) =>
  `(${row}.stripe_progress, ${row}.stripe_second, ${row}.stripe_event_id COLLATE "C")`;

/**
 * Holds where a state of Stripe's is newer than the one stored. A state of the same stamp is the same event, or a
 * snapshot of the same second, of which the later is taken when it differs.
 */
const isNewerThan = (row: string) => `(${row}.stripe_progress IS NULL OR ${stampOf(row)} < ${stampOf('r')}
  OR ${stampOf(row)} = ${stampOf('r')} AND ${row}.stripe_data IS DISTINCT FROM r.stripe_data)`;

/** What a column has after a state `r`: what the state does not carry stays. */
const carried = ({ name }: { name: string; kind: ColumnKind }) =>
  `CASE WHEN r.carried ? '${name}' THEN r."${name}" ELSE s."${name}" END`;

/** Holds where a state differs from what is stored: one that does not moves the stamp alone. */
const isChanged = `(${['s.stripe_data', ...carriable.map(({ name }) => `s."${name}"`)].join(', ')})
  IS DISTINCT FROM (${['r.stripe_data', ...carriable.map(carried)].join(', ')})`;

const assignments = [
  ...carriable.map((column) => `"${column.name}" = ${carried(column)}`),
  ...stripeNames.map((name) => `${name} = r.${name}`),
  touchedWhere(isChanged),
];

/**
 * Any number of states, of different sessions, and the ledger, in one statement. A session is updated where the
 * snapshot has it and inserted where it does not; an outcome of null means that it came, went or changed meanwhile, and
 * nothing was done yet: what is no longer there is not stale, and may have been made anew. A value of the sequence is
 * taken only for a row that is to be inserted: djstripe_id must stay below 2^31. The ids are in one order in every
 * group, as are the locks. No EXISTS: the planner may answer one from a hash of the whole ledger.
 */
const applySql = `WITH input AS MATERIALIZED (
    SELECT r.*, (SELECT ${isNewerThan('c')} FROM checkout_session AS c WHERE c.id = r.id) AS is_newer,
      (SELECT true FROM stripe_event AS e WHERE e.session_id = r.id AND e.id = r.stripe_event_id) IS TRUE AS is_logged
    FROM jsonb_to_recordset($1::jsonb) AS r (${rowTypes}, carried jsonb) ORDER BY r.id COLLATE "C"
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments.join(', ')}
    FROM input AS r WHERE s.id = r.id AND NOT r.is_logged AND ${isNewerThan('s')} RETURNING s.id
  ), absent AS MATERIALIZED (
    SELECT r.id, checkout_session_is_deleted(r.id) AS is_deleted FROM input AS r
    WHERE r.is_newer IS NULL AND NOT r.is_logged
  ), inserted AS (
    INSERT INTO checkout_session AS s (${rowNames})
    SELECT ${rowNames} FROM input AS r WHERE r.id IN (SELECT id FROM absent WHERE NOT is_deleted)
    ON CONFLICT (id) DO NOTHING RETURNING s.id
  ), result AS (
    SELECT r.id, r.stripe_event_id, r.stripe_api_version, ${Object.keys(eventTypes).join(', ')}, CASE
      WHEN r.is_logged THEN 'duplicate'
      WHEN r.id IN (SELECT id FROM updated UNION ALL SELECT id FROM inserted) THEN 'applied'
      WHEN NOT r.is_newer THEN 'stale'
      WHEN r.id IN (SELECT id FROM absent WHERE is_deleted) THEN 'deleted'
    END AS outcome FROM input AS r
  ), logged AS (
    INSERT INTO stripe_event (session_id, id, type, account, livemode, api_version, created, outcome)
    SELECT id, stripe_event_id, type, account, event_livemode, stripe_api_version, to_timestamp(event_created), outcome
    FROM result WHERE type IS NOT NULL AND outcome <> 'duplicate'
    ON CONFLICT (session_id, id) DO NOTHING RETURNING session_id
  )
  SELECT id, CASE
    WHEN type IS NOT NULL AND outcome IS NOT NULL AND id NOT IN (SELECT session_id FROM logged) THEN 'duplicate'
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
    type: event?.type,
    account: event?.account,
    event_livemode: event?.livemode,
    event_created: event?.created,
    ...defaults,
    ...carried,
  };
  return `{"stripe_data":${raw},${JSON.stringify(row).slice(1)}`;
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
