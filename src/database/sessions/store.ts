import { Problem } from '../../errors.js';
import { isNotModified, type Precondition } from '../../model/etag.js';
import type { SessionWrite } from '../../model/session.js';
import type { ColumnPatch } from '../../model/session-request.js';
import { type BatchObserver, batching, type LockLimit, readBatch, writeBatch } from '../batch.js';
import type { Database } from '../engine/database.js';
import { retrying } from '../engine/sqlstate.js';
import { listReader } from '../list/page.js';
import { createSessions } from './create.js';
import { patchSessions } from './patch.js';
import { retryRaces } from './races.js';
import { findSessions, type StoredSession, sessionReads, sessionTable } from './read.js';
import { removeSession } from './remove.js';
import { replaceSessions } from './replace.js';
import { byId, type ExpectedTags, type WrittenRow } from './statement.js';

/** Returns the ETags of a precondition as parameters of the statements. `If-Match: *` accepts any row, so it has no list. */
function tagsOf({ match, noneMatch }: Precondition): ExpectedTags {
  return { match: tagList(match), noneMatch: tagList(noneMatch) };
}

function tagList(tags: readonly string[] | '*' | undefined): readonly string[] | null {
  return tags === '*' || tags === undefined ? null : tags;
}

/** Returns whether a precondition is `If-None-Match: *`, which no existing session satisfies. */
const requiresAbsence = ({ noneMatch }: Precondition) => noneMatch === '*';

export type SessionStore = ReturnType<typeof sessionStore>;

/** Reads and writes sessions. A write is committed when its promise resolves, and changes nothing when it rejects. */
export function sessionStore(database: Database, onBatch?: BatchObserver) {
  const reads = sessionReads(database);
  const observed = (kind: string) => onBatch && ((size: number) => onBatch(kind, size));

  const findOne = batching<string, StoredSession | undefined>({
    ...readBatch,
    onBatch: observed('read'),
    run: (ids, limit) => findSessions(database.query, ids, limit),
  });
  const create = batchWrites('create', createSessions, ({ id }) => id);
  const replace = batchWrites('replace', replaceSessions, ({ write }) => write.id);
  const patch = batchWrites('patch', patchSessions, ({ id }) => id);

  /** Returns a function that writes one session, in a batch with the other writes of its kind. */
  function batchWrites<Input>(
    kind: string,
    run: (query: Database['query'], inputs: readonly Input[], limit: LockLimit) => Promise<WrittenRow[]>,
    keyOf: (input: Input) => string,
  ) {
    return batching<Input, WrittenRow | undefined>({
      ...writeBatch,
      onBatch: observed(kind),
      keyOf,
      run: async (inputs, limit) => byId(await retrying(() => run(database.query, inputs, limit)), inputs.map(keyOf)),
    });
  }

  /** Returns the session if it exists and satisfies a precondition. */
  async function findMatching(id: string, precondition: Precondition): Promise<StoredSession | undefined> {
    const stored = await findOne(id);
    const { match } = tagsOf(precondition);
    const isMatch = stored !== undefined && (match === null || match.includes(stored.etag));
    return isMatch && !isNotModified(precondition, stored.etag) ? stored : undefined;
  }

  /** Returns the reason why a write found no matching session, or undefined if a retry may find one. */
  async function problemOf(id: string, precondition: Precondition): Promise<Problem | undefined> {
    if (precondition.match !== undefined) return new Problem('precondition-failed');
    const stored = precondition.noneMatch === undefined ? undefined : await findOne(id);
    if (!stored) return new Problem('session-not-found');
    return isNotModified(precondition, stored.etag) ? new Problem('precondition-failed') : undefined;
  }

  /** Runs a change of an existing session. Throws a problem if none matches, and retries if a race hid the session. */
  function changeExisting<Value>(id: string, precondition: Precondition, change: () => Promise<Value | undefined>) {
    return retryRaces(async () => {
      const result = requiresAbsence(precondition) ? undefined : await change();
      const problem = result === undefined ? await problemOf(id, precondition) : undefined;
      if (problem) throw problem;
      return result;
    });
  }

  return {
    ...reads,

    /** Returns a session, or undefined if it does not exist. With `include` the document has the property `payment`. */
    find: (id: string, include?: 'payment') => (include ? reads.withPayment(id) : findOne(id)),

    /** Creates a session. Resolves to undefined if its id exists. */
    create,

    /**
     * Replaces a session, or creates it if it does not exist.
     *
     * @throws Problem `precondition-failed`
     */
    replace(session: SessionWrite, precondition: Precondition): Promise<StoredSession & { created: boolean }> {
      return retryRaces(async () => {
        const input = { write: session, ...tagsOf(precondition) };
        const replaced = requiresAbsence(precondition) ? undefined : await replace(input);
        if (replaced) return { ...replaced, created: false };
        if (precondition.match !== undefined) throw new Problem('precondition-failed');
        const created = await create(session);
        if (created) return { ...created, created: true };
        if (requiresAbsence(precondition)) throw new Problem('precondition-failed');
        // The session exists. Its ETag failed the precondition, or another request created it after the replace.
        const stored = precondition.noneMatch === undefined ? undefined : await findOne(session.id);
        if (stored && isNotModified(precondition, stored.etag)) throw new Problem('precondition-failed');
        return undefined;
      });
    },

    /**
     * Applies a merge patch. PostgreSQL merges the maps, so concurrent patches of different fields both survive. This includes
     * different keys of metadata.
     *
     * @throws Problem `session-not-found` or `precondition-failed`
     */
    patch(id: string, changes: readonly ColumnPatch[], precondition: Precondition): Promise<StoredSession> {
      // An empty patch changes nothing, not even the version.
      if (changes.length === 0) return changeExisting(id, precondition, () => findMatching(id, precondition));
      return changeExisting(id, precondition, () => patch({ id, changes, ...tagsOf(precondition) }));
    },

    /**
     * Deletes a session and leaves its tombstone.
     *
     * @throws Problem `session-not-found` or `precondition-failed`
     */
    async remove(id: string, precondition: Precondition): Promise<void> {
      const remove = () => removeSession(database.query, id, tagsOf(precondition));
      await changeExisting(id, precondition, async () => (await retrying(remove)) || undefined);
    },

    /** Reads a page of sessions. */
    list: listReader(database, sessionTable, onBatch),
  };
}
