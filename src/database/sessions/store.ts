import { Problem } from '../../errors.js';
import { isNotModified, type Precondition } from '../../model/etag.js';
import type { SessionWrite } from '../../model/session.js';
import type { Change } from '../../model/session-request.js';
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

/** The tags of a precondition as the statements take them; If-Match: * asks for no tag, only for a row. */
function tagsOf({ match, noneMatch }: Precondition): ExpectedTags {
  return { match: listed(match), noneMatch: listed(noneMatch) };
}

function listed(tags: readonly string[] | '*' | undefined): readonly string[] | null {
  return tags === '*' || tags === undefined ? null : tags;
}

/** Whether a row that exists satisfies If-None-Match at all. */
const refusesAnyRow = ({ noneMatch }: Precondition) => noneMatch === '*';

export type SessionStore = ReturnType<typeof sessionStore>;

/** Reads and writes of the sessions. Each write is committed when its promise resolves, or changes nothing. */
export function sessionStore(database: Database, onBatch?: BatchObserver) {
  const reads = sessionReads(database);
  const observed = (kind: string) => onBatch && ((size: number) => onBatch(kind, size));

  const findOne = batching<string, StoredSession | undefined>({
    ...readBatch,
    onBatch: observed('read'),
    run: (ids, limit) => findSessions(database.query, ids, limit),
  });
  const create = writing('create', createSessions, ({ id }) => id);
  const replace = writing('replace', replaceSessions, ({ write }) => write.id);
  const patch = writing('patch', patchSessions, ({ id }) => id);

  /** Gathers the writes of a kind. */
  function writing<Input>(
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

  /** The session where it satisfies a precondition. */
  async function findWhere(id: string, precondition: Precondition): Promise<StoredSession | undefined> {
    const stored = await findOne(id);
    const { match } = tagsOf(precondition);
    const isMatch = stored !== undefined && (match === null || match.includes(stored.etag));
    return isMatch && !isNotModified(precondition, stored.etag) ? stored : undefined;
  }

  /** Why a write found no session to change; undefined where it may find one now. */
  async function refusal(id: string, precondition: Precondition): Promise<Problem | undefined> {
    if (precondition.match !== undefined) return new Problem('precondition-failed');
    const stored = precondition.noneMatch === undefined ? undefined : await findOne(id);
    if (!stored) return new Problem('session-not-found');
    return isNotModified(precondition, stored.etag) ? new Problem('precondition-failed') : undefined;
  }

  /** Repeats a change until it is done, or refused by a session that is there. */
  function changed<Value>(id: string, precondition: Precondition, change: () => Promise<Value | undefined>) {
    return retryRaces(async () => {
      const done = refusesAnyRow(precondition) ? undefined : await change();
      const problem = done === undefined ? await refusal(id, precondition) : undefined;
      if (problem) throw problem;
      return done;
    });
  }

  return {
    ...reads,

    /** The session with an id, or undefined; with `payment` added when asked for. */
    find: (id: string, include?: 'payment') => (include ? reads.withPayment(id) : findOne(id)),

    /** Stores a new session; undefined when its id exists. */
    create,

    /**
     * Stores a session in the place of what its id has, or anew.
     *
     * @throws `precondition-failed`
     */
    replace(session: SessionWrite, precondition: Precondition): Promise<StoredSession & { created: boolean }> {
      return retryRaces(async () => {
        const input = { write: session, ...tagsOf(precondition) };
        const replaced = refusesAnyRow(precondition) ? undefined : await replace(input);
        if (replaced) return { ...replaced, created: false };
        if (precondition.match !== undefined) throw new Problem('precondition-failed');
        const created = await create(session);
        if (created) return { ...created, created: true };
        if (refusesAnyRow(precondition)) throw new Problem('precondition-failed');
        // There is one: refused by its tag, or it came since.
        const stored = precondition.noneMatch === undefined ? undefined : await findOne(session.id);
        if (stored && isNotModified(precondition, stored.etag)) throw new Problem('precondition-failed');
        return undefined;
      });
    },

    /**
     * Applies a merge patch. Maps are merged where they are stored, so that concurrent patches of different
     * fields, keys of metadata included, both survive.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    patch(id: string, changes: readonly Change[], precondition: Precondition): Promise<StoredSession> {
      // An empty patch changes nothing, and neither the version.
      if (changes.length === 0) return changed(id, precondition, () => findWhere(id, precondition));
      return changed(id, precondition, () => patch({ id, changes, ...tagsOf(precondition) }));
    },

    /**
     * Deletes a session and leaves its tombstone.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    async remove(id: string, precondition: Precondition): Promise<void> {
      const remove = () => removeSession(database.query, id, tagsOf(precondition));
      await changed(id, precondition, async () => (await retrying(remove)) || undefined);
    },

    /** A page of the sessions that a query asks for. */
    list: listReader(database, sessionTable, onBatch),
  };
}
