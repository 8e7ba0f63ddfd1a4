import type { SessionState, StripeEvent } from '../../model/stripe.js';
import { type BatchObserver, batching, type LockLimit, writeBatch } from '../batch.js';
import { sessionDistribution } from '../engine/citus.js';
import type { Database } from '../engine/database.js';
import { retrying } from '../engine/sqlstate.js';
import { retryRaces } from './races.js';
import { byId } from './statement.js';
import { applyStates, applyStatesOnCitus, type Delivery, fillGaps, type Outcome } from './upsert.js';

const keyOf = ({ state }: Delivery) => state.id;

export type MirrorStore = ReturnType<typeof mirrorStore>;

/** Stores the states that come from Stripe. Webhook, backfill, catch-up, refresh and import all end here. */
export function mirrorStore(database: Database, onBatch?: BatchObserver) {
  /** Wraps a statement. The result has the outcome of each delivery in order, or undefined if the delivery lost a race. */
  const outcomesOf =
    <Result>(
      statement: (...run: Parameters<typeof applyStates>) => Promise<{ id: string; outcome: Result | null }[]>,
    ) =>
    async (deliveries: readonly Delivery[], limit?: LockLimit): Promise<(Result | undefined)[]> => {
      const rows = await retrying(() => statement(database.query, deliveries, limit));
      return byId(rows, deliveries.map(keyOf)).map((row) => row?.outcome ?? undefined);
    };
  const isDistributed = sessionDistribution(database);
  const applyMany = outcomesOf(async (query, deliveries: readonly Delivery[], limit) =>
    (await isDistributed()) ? applyStatesOnCitus(database, deliveries) : applyStates(query, deliveries, limit),
  );
  const applyOne = batching({
    ...writeBatch,
    run: applyMany,
    keyOf,
    onBatch: onBatch && ((size) => onBatch('apply', size)),
  });
  // One connection at most: filling gaps is rare, and the other writes leave two of ten.
  const fillOne = batching({ ...writeBatch, concurrency: 1, run: outcomesOf(fillGaps), keyOf });

  /** Fills the gaps if the outcome is `fills`. Returns any other outcome as it is. */
  const fillIfNeeded = async (delivery: Delivery, outcome: Awaited<ReturnType<typeof applyOne>>) =>
    outcome === 'fills' ? fillOne(delivery) : outcome;

  const applyDelivery = (delivery: Delivery): Promise<Outcome> =>
    retryRaces(async () => fillIfNeeded(delivery, await applyOne(delivery)));

  return {
    /**
     * Stores a state if it is newer than the stored one, and its event in the ledger, in one transaction. Any order and any
     * repetition of a session's states end in the same row.
     */
    apply: (state: SessionState, event?: StripeEvent): Promise<Outcome> => applyDelivery({ state, event }),

    /**
     * Stores many snapshots in one statement, each as {@link apply} does. No two may belong to the same session.
     *
     * @returns the outcome of each snapshot, in order.
     */
    async applyAll(states: readonly SessionState[]): Promise<Outcome[]> {
      const deliveries = states.map((state) => ({ state }));
      const outcomes = await applyMany(deliveries);
      return Promise.all(
        deliveries.map(async (delivery, index) => {
          return (await fillIfNeeded(delivery, outcomes[index])) ?? applyDelivery(delivery);
        }),
      );
    },
  };
}
