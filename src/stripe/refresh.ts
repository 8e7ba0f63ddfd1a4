import type { Fetch } from './fetch.js';
import type { Ingest, IngestResult } from './ingest.js';

/** Fetches a session from Stripe now, of a connected account where one is given, and takes it in. */
export type Refresh = (id: string, account?: string) => Promise<IngestResult>;

/** Returns the refresh. Those of one id that overlap share one call and one write; what fails leaves what is stored. */
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
