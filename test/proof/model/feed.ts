import { expect } from 'vitest';

/** The fields of a change that the model checks. */
interface Change {
  readonly type: string;
  readonly session_id: string;
  readonly version: number;
  readonly session: { readonly id: string } | null;
}

async function page(url: string, query: string): Promise<{ results: Change[]; cursor: string; more: boolean }> {
  const response = await fetch(`${url}/api/changes?${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Awaited<ReturnType<typeof page>>;
}

/** Returns the cursor of the end of the change feed. */
export async function endOfFeed(url: string): Promise<string> {
  return (await page(url, 'cursor=now')).cursor;
}

/**
 * Expects the change feed to contain every acknowledged state of each session, once and in order. A deletion starts a
 * session anew. The last change of a session is its stored state.
 *
 * @param etags of the stored sessions, by id
 */
export async function expectFeed(url: string, cursor: string, etags: ReadonlyMap<string, string>): Promise<void> {
  const versions = new Map<string, number>();
  for (let after = cursor, more = true; more; ) {
    const next = await page(url, `cursor=${after}&limit=7`);
    for (const { type, session_id: id, version, session } of next.results) {
      const before = versions.get(id);
      if (before === undefined) expect([id, version]).toEqual([id, 1]);
      else expect([before, before + (type === 'deleted' || type === 'payment_failed' ? 0 : 1)]).toContain(version);
      if (type === 'deleted') versions.delete(id);
      else versions.set(id, version);
      expect(session === null).toBe(!etags.has(id));
    }
    ({ cursor: after, more } = next);
  }
  const stored = [...etags].map(([id, etag]) => [id, Number(/-(\d+)"$/.exec(etag)?.[1])]);
  expect([...versions].sort()).toEqual(stored.sort());
}
