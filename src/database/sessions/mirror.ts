import type { SessionState, StripeEvent } from '../../model/stripe.js';
import { type BatchObserver, batching, type LockLimit, writeBatch } from '../batch.js';
import type { Database } from '../engine/database.js';
import { retrying } from '../engine/sqlstate.js';
import { retryRaces } from './races.js';
import { byId } from './statement.js';
import { type AppliedRow, applyStates, type Delivery, fillGaps, type Outcome } from './upsert.js';

/** Returns an outcome; undefined for a state that must be tried again. */
const outcomeOf = (outcome: AppliedRow['outcome'] | undefined): Outcome | undefined =>
  outcome === 'fills' ? undefined : (outcome ?? undefined);

export type MirrorStore = ReturnType<typeof mirrorStore>;

/** The one guarded upsert in which every path from Stripe ends. */
export function mirrorStore(database: Database, onBatch?: BatchObserver) {
  /** What became of each, in their order; undefined for what must be tried again. */
  function applyOnce(deliveries: readonly Delivery[], limit: LockLimit = {}): Promise<(Outcome | undefined)[]> {
    return retrying(async () => {
      const ids = deliveries.map(({ state }) => state.id);
      const rows = byId(await applyStates(database.query, deliveries, limit), ids);
      const filling = deliveries.filter((_, index) => rows[index]?.outcome === 'fills');
      const filled = filling.length > 0 ? await fillGaps(database.query, filling, limit) : [];
      const outcomes = new Map(filled.map(({ id, outcome }) => [id, outcome]));
      return rows.map((row) => outcomeOf(row?.outcome === 'fills' ? outcomes.get(row.id) : row?.outcome));
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
    apply: (state: SessionState, event?: StripeEvent): Promise<Outcome> => retryRaces(() => applyOne({ state, event })),

    /**
     * Stores many snapshots, each as {@link apply} would, in one transaction. No two may be of the same session.
     *
     * @returns what became of each, in their order.
     */
    async applyAll(states: readonly SessionState[]): Promise<Outcome[]> {
      const outcomes = await applyOnce(states.map((state) => ({ state })));
      return Promise.all(states.map((state, index) => outcomes[index] ?? retryRaces(() => applyOne({ state }))));
    },
  };
}
