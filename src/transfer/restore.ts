import type { Database } from '../database/engine/database.js';
import { retrying } from '../database/engine/sqlstate.js';
import { type MirrorStore, mirrorStore } from '../database/sessions/mirror.js';

/** Brings back sessions that were deleted. */

/** The ledger goes too: what comes back may be a state that was applied before, or answered `deleted`. */
const reviveSql = `WITH revived AS (
    DELETE FROM checkout_session WHERE id = ANY($1::text[]) AND version = 0 RETURNING id
  )
  DELETE FROM stripe_event AS e USING revived WHERE e.session_id = revived.id`;

/**
 * The mirror, in which a state of a session that was deleted here brings it back: its tombstone goes in the transaction
 * that writes the state.
 */
export function restoringMirror(database: Database): MirrorStore {
  function restoring<Result>(ids: readonly string[], work: (mirror: MirrorStore) => Promise<Result>): Promise<Result> {
    return retrying(() =>
      database.transaction(async (query) => {
        await query({ text: reviveSql, values: [ids] });
        return work(mirrorStore({ ...database, query }));
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
