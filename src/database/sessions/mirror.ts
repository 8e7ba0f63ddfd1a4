import type { SessionState, StripeEvent } from '../../model/stripe.js';
import { type BatchObserver, batching, type LockLimit, writeBatch } from '../batch.js';
import type { Database } from '../engine/database.js';
import { retrying } from '../engine/sqlstate.js';
import { retryRaces } from './races.js';
import { byId } from './statement.js';
import { applyStates, type Delivery, fillGaps, type Outcome } from './upsert.js';

const keyOf = ({ state }: Delivery) => state.id;

export type MirrorStore = ReturnType<typeof mirrorStore>;

/** The one guarded upsert in which every path from Stripe ends. */
export function mirrorStore(database: Database, onBatch?: BatchObserver) {
  /** Returns what runs a statement: its outcome of each delivery, undefined after a race with another write. */
  const running =
    <Result>(
      statement: (...run: Parameters<typeof applyStates>) => Promise<{ id: string; outcome: Result | null }[]>,
    ) =>
    async (deliveries: readonly Delivery[], limit?: LockLimit): Promise<(Result | undefined)[]> => {
      const rows = await retrying(() => statement(database.query, deliveries, limit));
      return byId(rows, deliveries.map(keyOf)).map((row) => row?.outcome ?? undefined);
    };
  const applyMany = running(applyStates);
  const applyOne = batching({
    ...writeBatch,
    run: applyMany,
    keyOf,
    onBatch: onBatch && ((size) => onBatch('apply', size)),
  });
  const fillOne = batching({ ...writeBatch, run: running(fillGaps), keyOf });

  /** Fills the gaps that an older state fills; any other outcome stands. */
  const completed = async (delivery: Delivery, outcome: Awaited<ReturnType<typeof applyOne>>) =>
    outcome === 'fills' ? fillOne(delivery) : outcome;

  const applied = (delivery: Delivery): Promise<Outcome> =>
    retryRaces(async () => completed(delivery, await applyOne(delivery)));

  return {
    /**
     * Stores a state where it is newer than what is stored, and the event that brought it in the ledger, in one
     * transaction. Any order and any repetition of a session's states ends in the same row.
     */
    apply: (state: SessionState, event?: StripeEvent): Promise<Outcome> => applied({ state, event }),

    /**
     * Stores many snapshots, each as {@link apply} would, in one statement. No two may be of the same session.
     *
     * @returns what became of each, in their order.
     */
    async applyAll(states: readonly SessionState[]): Promise<Outcome[]> {
      const deliveries = states.map((state) => ({ state }));
      const outcomes = await applyMany(deliveries);
      return Promise.all(
        deliveries.map(async (delivery, index) => {
          return (await completed(delivery, outcomes[index])) ?? applied(delivery);
        }),
      );
    },
  };
}
