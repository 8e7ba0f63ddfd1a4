import type { Database } from '../database/engine/database.js';
import { retrying } from '../database/engine/sqlstate.js';
import { type MirrorStore, mirrorStore } from '../database/sessions/mirror.js';

/** Brings back deleted sessions. */

/** Deletes the ledger's events too: one that was applied before, or answered with `deleted`, may bring the session back. */
const reviveSql = `WITH revived AS (
    DELETE FROM checkout_session WHERE id = ANY($1::text[]) AND version = 0 RETURNING id
  )
  DELETE FROM stripe_event AS e USING revived WHERE e.session_id = revived.id`;

/**
 * Returns a mirror in which a state of a deleted session brings the session back. The transaction that writes the state
 * deletes the tombstone.
 */
export function restoringMirror(database: Database): MirrorStore {
  function restoring<Result>(ids: readonly string[], work: (mirror: MirrorStore) => Promise<Result>): Promise<Result> {
    return retrying(() =>
      database.transaction(async (query) => {
        await query({ text: reviveSql, values: [ids] });
        // A transaction of the mirror becomes part of this one.
        return work(mirrorStore({ ...database, query, transaction: (inner) => inner(query) }));
      }),
    );
  }
  return {
    ...mirrorStore(database),
    apply: (state, event) => restoring([state.id], (mirror) => mirror.apply(state, event)),
    applyAll: (states) =>
      restoring(
        states.map(({ id }) => id),
        (mirror) => mirror.applyAll(states),
      ),
  };
}
