import { type Column, type SessionWrite, writableColumns } from '../model/session.js';
import type { SessionState, StripeEvent } from '../model/stripe.js';
import { sqlTypes } from './conditions.js';
import type { Database } from './database.js';
import { encode, lockSession, touchedWhere } from './sessions.js';

/** What became of a state: stored; older than what is stored; delivered before; of a session that was deleted. */
export type Outcome = 'applied' | 'stale' | 'duplicate' | 'deleted';

type Query = Database['query'];

interface Result {
  /** Null when there is neither session nor tombstone: nothing was done yet. */
  outcome: Exclude<Outcome, 'duplicate'> | null;
  /** Whether the event is new to the ledger. */
  logged: boolean;
}

const privateValues = [
  ['id', 'text'],
  ['stripe_data', 'jsonb'],
  ['status', 'text'],
  ['payment_status', 'text'],
  ['stripe_progress', 'smallint'],
  ['stripe_second', 'bigint'],
  ['stripe_event_id', 'text'],
  ['stripe_api_version', 'text'],
] as const;

const [idParameter = '', dataParameter = '', , , ...stampParameters] = privateValues.map(
  ([, type], index) => `$${index + 1}::${type}`,
);
const [progress, second, eventId] = stampParameters;

/**
 * Holds where a state of Stripe's is newer than the one stored. A state of the same stamp is the same event, or a
 * snapshot of the same second, of which the later is taken when it differs.
 */
const isNewer = `(s.stripe_progress IS NULL
    OR (s.stripe_progress, s.stripe_second, s.stripe_event_id COLLATE "C") < (${progress}, ${second}, ${eventId} COLLATE "C")
    OR (s.stripe_progress, s.stripe_second, s.stripe_event_id) = (${progress}, ${second}, ${eventId})
      AND s.stripe_data IS DISTINCT FROM ${dataParameter})`;

const isLogged = `EXISTS (SELECT FROM stripe_event AS e WHERE e.session_id = ${idParameter} AND e.id = ${eventId})`;
const exists = `EXISTS (SELECT FROM checkout_session AS c WHERE c.id = ${idParameter})`;
const isDeleted = `EXISTS (SELECT FROM checkout_session_tombstone AS t WHERE t.id = ${idParameter})`;

/** Holds where a state differs from what is stored: one that does not moves the stamp alone. */
function isChanged(carried: readonly Column[], values: readonly (string | undefined)[], data: string): string {
  const stored = ['s.stripe_data', ...carried.map(({ name }) => `s."${name}"`)];
  return `(${stored.join(', ')}) IS DISTINCT FROM (${[data, ...values].join(', ')})`;
}

const insertedColumns = writableColumns.filter(({ name }) => name !== 'id');

/** The parameters after the private ones. */
function parametersOf(columns: readonly Column[]): string[] {
  return columns.map(({ kind }, index) => `$${privateValues.length + index + 1}::${sqlTypes[kind]}`);
}

/** Writes the event into the ledger with what came of it, in the statement that did it. */
function ledger(first: number): string {
  const [type, account, livemode, created] = ['text', 'text', 'boolean', 'bigint'].map(
    (sqlType, index) => `$${first + index}::${sqlType}`,
  );
  return `, logged AS (
    INSERT INTO stripe_event (session_id, id, type, account, livemode, api_version, created, outcome)
    SELECT ${idParameter}, ${eventId}, ${type}, ${account}, ${livemode}, ${stampParameters[3]},
      to_timestamp(${created}), outcome
    FROM result WHERE outcome IS NOT NULL
    ON CONFLICT (session_id, id) DO NOTHING RETURNING id
  ) SELECT outcome, EXISTS (SELECT FROM logged) AS logged FROM result`;
}

const noLedger = ' SELECT outcome, true AS logged FROM result';

/** Updates a session that exists. Leaves the outcome null when it does not. */
function updateSql(carried: readonly Column[], hasEvent: boolean): string {
  const parameters = parametersOf(carried);
  const assignments = [
    ...carried.map(({ name }, index) => `"${name}" = ${parameters[index]}`),
    ...privateValues.slice(1).map(([name, type], index) => `${name} = $${index + 2}::${type}`),
    ...touchedWhere(isChanged(carried, parameters, dataParameter)),
  ];
  return `WITH written AS (
    UPDATE checkout_session AS s SET ${assignments.join(', ')}
    WHERE s.id = ${idParameter} AND ${isNewer}${hasEvent ? ` AND NOT ${isLogged}` : ''} RETURNING s.id
  ), result AS (
    SELECT CASE WHEN EXISTS (SELECT FROM written) THEN 'applied' WHEN ${exists} THEN 'stale' END AS outcome
  )${hasEvent ? ledger(privateValues.length + carried.length + 1) : noLedger}`;
}

/** Inserts a session, unless it was deleted or another was first. */
function insertSql(carried: readonly Column[], hasEvent: boolean): string {
  const names = [...privateValues.map(([name]) => name), ...insertedColumns.map(({ name }) => `"${name}"`)];
  const values = [
    ...privateValues.map(([, type], index) => `$${index + 1}::${type}`),
    ...parametersOf(insertedColumns),
  ];
  const assignments = [
    ...carried.map(({ name }) => `"${name}" = EXCLUDED."${name}"`),
    ...privateValues.slice(1).map(([name]) => `${name} = EXCLUDED.${name}`),
    ...touchedWhere(
      isChanged(
        carried,
        carried.map(({ name }) => `EXCLUDED."${name}"`),
        'EXCLUDED.stripe_data',
      ),
    ),
  ];
  return `WITH written AS (
    INSERT INTO checkout_session AS s (${names.join(', ')}) SELECT ${values.join(', ')}
    WHERE NOT ${isDeleted}${hasEvent ? ` AND NOT ${isLogged}` : ''}
    ON CONFLICT (id) DO UPDATE SET ${assignments.join(', ')} WHERE ${isNewer} RETURNING s.id
  ), result AS (
    SELECT CASE WHEN EXISTS (SELECT FROM written) THEN 'applied' WHEN ${isDeleted} THEN 'deleted' ELSE 'stale' END AS outcome
  )${hasEvent ? ledger(privateValues.length + insertedColumns.length + 1) : noLedger}`;
}

function privateValuesOf(state: SessionState): unknown[] {
  const { id, raw, status, paymentStatus, apiVersion, stamp } = state;
  return [id, JSON.stringify(raw), status, paymentStatus, stamp.progress, stamp.second, stamp.eventId, apiVersion];
}

function columnValuesOf(columns: readonly (typeof writableColumns)[number][], write: Partial<SessionWrite>): unknown[] {
  return columns.map(({ name, kind }) => encode(kind, write[name]));
}

function eventValuesOf(event: StripeEvent | undefined): unknown[] {
  return event ? [event.type, event.account, event.livemode, event.created] : [];
}

const deadlock = '40P01';
const serializationFailure = '40001';
const attempts = 4;

/** Repeats what lost against another transaction through no fault of its own. */
async function retrying<Value>(work: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== deadlock && code !== serializationFailure) || attempt === attempts) throw error;
    }
  }
}

export type MirrorStore = ReturnType<typeof mirrorStore>;

/** The one guarded upsert in which every path from Stripe ends. */
export function mirrorStore(database: Database) {
  async function update(query: Query, state: SessionState, event?: StripeEvent): Promise<Result> {
    const carried = insertedColumns.filter(({ name }) => Object.hasOwn(state.carried, name));
    const [result] = await query<Result>({
      text: updateSql(carried, event !== undefined),
      values: [...privateValuesOf(state), ...columnValuesOf(carried, state.carried), ...eventValuesOf(event)],
    });
    return result as Result;
  }

  async function insert(query: Query, state: SessionState, event?: StripeEvent): Promise<Result> {
    const carried = insertedColumns.filter(({ name }) => Object.hasOwn(state.carried, name));
    const [result] = await query<Result>({
      text: insertSql(carried, event !== undefined),
      values: [
        ...privateValuesOf(state),
        ...columnValuesOf(insertedColumns, { ...state.defaults, ...state.carried }),
        ...eventValuesOf(event),
      ],
    });
    return result as Result;
  }

  const store = {
    /**
     * Stores a state where it is newer than what is stored, and the event that brought it in the ledger, in one
     * transaction. Any order and any repetition of a session's states ends in the same row. A sequence value is
     * taken only for a session that is new.
     */
    apply(state: SessionState, event?: StripeEvent): Promise<Outcome> {
      return retrying(async () => {
        const first = await update(database.query, state, event);
        const { outcome, logged } =
          first.outcome === null
            ? await database.transaction(async (query) => {
                await query({ text: `SELECT ${lockSession('$1')}`, values: [state.id] });
                return insert(query, state, event);
              })
            : first;
        return logged ? (outcome as Outcome) : 'duplicate';
      });
    },

    /**
     * Stores many snapshots, each as {@link apply} would: those that are new in one statement, the others one by
     * one. No two may be of the same session.
     *
     * @returns what became of each, in their order.
     */
    async applyAll(states: readonly SessionState[]): Promise<Outcome[]> {
      const inserted = await retrying(() =>
        database.transaction(async (query) => {
          const values = [JSON.stringify(states.map(rowOf))];
          await query({ text: lockAllSql, values });
          const rows = await query<{ id: string }>({ text: insertAllSql, values });
          return new Set(rows.map(({ id }) => id));
        }),
      );
      return Promise.all(states.map((state) => (inserted.has(state.id) ? ('applied' as const) : store.apply(state))));
    },
  };
  return store;
}

const rowColumns = [...privateValues, ...insertedColumns.map(({ name, kind }) => [name, sqlTypes[kind]] as const)];
const rowNames = rowColumns.map(([name]) => `"${name}"`).join(', ');
const rowTypes = rowColumns.map(([name, type]) => `"${name}" ${type}`).join(', ');

/** A state as a row of jsonb_to_recordset. */
function rowOf({ id, raw, status, paymentStatus, apiVersion, stamp, defaults, carried }: SessionState): object {
  return {
    ...defaults,
    ...carried,
    id,
    stripe_data: raw,
    status,
    payment_status: paymentStatus,
    stripe_progress: stamp.progress,
    stripe_second: stamp.second,
    stripe_event_id: stamp.eventId,
    stripe_api_version: apiVersion,
  };
}

// In the order of the ids, as every group takes its locks.
const lockAllSql = `SELECT count(${lockSession('locked.id')})
  FROM (SELECT id FROM jsonb_to_recordset($1::jsonb) AS r (id text) ORDER BY id COLLATE "C") AS locked`;

const insertAllSql = `INSERT INTO checkout_session (${rowNames}) SELECT ${rowNames}
  FROM jsonb_to_recordset($1::jsonb) AS r (${rowTypes})
  WHERE NOT EXISTS (SELECT FROM checkout_session_tombstone AS t WHERE t.id = r.id)
    AND NOT EXISTS (SELECT FROM checkout_session AS c WHERE c.id = r.id)
  ORDER BY r.id COLLATE "C"
  ON CONFLICT (id) DO NOTHING RETURNING id`;
