import type { Fetch } from './fetch.js';
import type { Ingest, IngestResult } from './ingest.js';

/** Fetches a session from Stripe now and ingests it. `account` names a connected account, or the path to one. */
export type Refresh = (id: string, account?: string) => Promise<IngestResult>;

/**
 * Returns the refresh. Overlapping refreshes of one id share one call and one write. A failure leaves the stored session.
 */
export function createRefresh(ingest: Ingest, fetch: Fetch): Refresh {
  const inFlight = new Map<string, Promise<IngestResult>>();
  return (id, account) => {
    const key = `${id} ${account ?? ''}`;
    const shared =
      inFlight.get(key) ??
      fetch(id, { account })
        .then((snapshot) => ingest.snapshot(snapshot))
        .finally(() => inFlight.delete(key));
    inFlight.set(key, shared);
    return shared;
  };
}
