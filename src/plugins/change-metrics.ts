import type { ChangeStore } from '../database/changes.js';
import { type ChangeType, changeTypes } from '../model/changes.js';
import { inTime, type Metrics } from './metrics.js';

/** What the metrics say of the change feed. */
export interface ChangeMetricsOptions {
  readonly metrics: Metrics;
  readonly store: ChangeStore;
  /** Returns how many streams are open. */
  readonly streams: () => number;
}

/** Measures the change feed. */
export function measureChanges({ metrics, store, streams }: ChangeMetricsOptions): void {
  metrics.gauge('changes_streams', 'Streams of changes that are open.', streams);
  /** Undefined where the tables are distributed: there is no log. */
  const delay = async () => ((await store.isDistributed()) ? undefined : store.delay());
  metrics.gauge('changes_horizon_lag', 'Changes that are logged and that no reader sees yet.', () =>
    inTime(delay().then((now) => now?.lag)),
  );
  metrics.gauge(
    'changes_oldest_writer_seconds',
    'Age of the oldest open transaction that has logged changes: it holds up the readers.',
    () => inTime(delay().then((now) => now?.oldest ?? undefined)),
  );
}

/** Registers the counter of what was sent. */
export function countChanges(metrics: Metrics): (type: ChangeType, count: number) => void {
  return metrics.labelled('changes_sent_total', 'Changes sent to readers, by type.', 'type', changeTypes);
}
