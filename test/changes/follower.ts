import { expect } from 'vitest';
import { changeStore } from '../../src/database/changes.js';
import type { Database } from '../../src/database/engine/database.js';
import type { Position } from '../../src/model/changes.js';

/** The fields of a change that the tests of the log check. */
export interface LoggedChange {
  readonly type: string;
  readonly session_id: string;
  readonly version: number;
  readonly source: string;
  readonly previous: { readonly status: string | null; readonly payment_status: string | null } | null;
  readonly event: { readonly id: string; readonly type: string | null } | null;
  readonly session: Record<string, unknown> | null;
  readonly payment: Record<string, unknown> | null;
}

/** Returns a function that reads the changes since its last call. It starts at the current end of the log. */
export async function followLog(database: Database): Promise<() => Promise<LoggedChange[]>> {
  const store = changeStore(database);
  let place: Position = (await store.last(await store.horizon())) ?? (await store.start());
  return async () => {
    const page = await store.read(place, { horizon: await store.horizon(), limit: 500 });
    expect(page).toBeDefined();
    if (!page) return [];
    expect(page.hasMore).toBe(false);
    place = page.end;
    return page.changes.map(({ json }) => JSON.parse(json) as LoggedChange);
  };
}

/** Formats a change for comparison: its type, source, previous statuses and event. */
export function describeChange({ type, source, previous, event }: LoggedChange): string {
  const before = previous && `${previous.status}/${previous.payment_status}`;
  return `${type} by ${source} after ${before ?? 'nothing'}${event ? ` with ${event.type?.replace('checkout.session.', '')}` : ''}`;
}
