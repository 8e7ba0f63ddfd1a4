import type { ChangeStore } from '../database/changes.js';
import { type ChangeType, changeTypes } from '../model/changes.js';
import { inTime, type Metrics } from './metrics.js';

export interface ChangeMetricsOptions {
  readonly metrics: Metrics;
  readonly store: ChangeStore;
  /** Returns how many streams are open. */
  readonly streams: () => number;
}

/** Measures the change feed. */
export function measureChanges({ metrics, store, streams }: ChangeMetricsOptions): void {
  metrics.gauge('changes_streams', 'Open streams of changes.', streams);
  /** Undefined on distributed tables, which have no change log. */
  const delay = async () => ((await store.isDistributed()) ? undefined : store.delay());
  metrics.gauge('changes_horizon_lag', 'Logged changes that readers cannot see yet.', () =>
    inTime(delay().then((now) => now?.lag)),
  );
  metrics.gauge(
    'changes_oldest_writer_seconds',
    'Age of the oldest open transaction that has logged changes. Readers wait for it.',
    () => inTime(delay().then((now) => now?.oldest ?? undefined)),
  );
}

/** Registers the counter of sent changes and returns its increment. */
export function countChanges(metrics: Metrics): (type: ChangeType, count: number) => void {
  return metrics.labelledCounter('changes_sent_total', 'Changes sent to readers, by type.', 'type', changeTypes);
}
