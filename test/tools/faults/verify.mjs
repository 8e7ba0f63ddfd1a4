/** Compares the database with the acknowledged writes. */
import { isDeepStrictEqual } from 'node:util';

/**
 * @typedef {import('../load/writers.mjs').Session} Session
 * @typedef {(text: string, values: unknown[]) => Promise<{ rows: any[] }>} Query
 *
 * @typedef {object} Stored
 * @property {import('../load/operations.mjs').State} state
 * @property {boolean} agrees whether the document agrees with the columns
 * @property {string | null} etag
 */

/** Selects the columns that the document is made of: the parameters of the database's own function. */
const columnsText = `SELECT string_agg(format('s.%I', name), ', ' ORDER BY place) AS names
  FROM pg_proc, unnest(proargnames) WITH ORDINALITY AS argument (name, place)
  WHERE proname = 'checkout_session_document'`;

/** Selects the stored states, and makes each document anew from its columns. @param {string} columns */
const storedText = (columns) => `
  SELECT w.id, s.document, s.stripe_data ->> 'client_reference_id' AS raw, s.stripe_event_id AS event,
    '"' || s.djstripe_id || '-' || s.version || '"' AS etag, d.id IS NOT NULL AS deleted,
    s.id IS NULL OR s.document = checkout_session_document(${columns}) AS agrees,
    (SELECT coalesce(json_object_agg(e.id, e.outcome), '{}') FROM stripe_event AS e WHERE e.session_id = w.id) AS events
  FROM unnest($1::text[]) AS w (id)
    LEFT JOIN checkout_session AS s ON s.id = w.id AND s.version <> 0
    LEFT JOIN checkout_session AS d ON d.id = w.id AND d.version = 0`;

/** @param {Query} query @param {readonly Session[]} sessions @returns {Promise<Map<string, Stored>>} */
async function readStored(query, sessions) {
  const columns = (await query(columnsText, [])).rows[0].names;
  const { rows } = await query(storedText(columns), [sessions.map(({ id }) => id)]);
  return new Map(
    rows.map(({ id, document, raw, event, etag, deleted, agrees, events }) => {
      const session = document === null ? null : { ...fieldsOf(JSON.parse(document)), raw, event };
      return [id, { state: { session, isDeleted: deleted, events }, agrees, etag }];
    }),
  );
}

/** @param {Record<string, any>} document */
function fieldsOf({ description, client_reference_id, success_url, customer, metadata, display_items }) {
  return { description, client_reference_id, success_url, customer, metadata, display_items };
}

/**
 * Compares each session with its possible states.
 *
 * @param {Query} query @param {readonly Session[]} sessions
 * @returns {Promise<string[]>} a line for each session with a lost or half-done write
 */
export async function verify(query, sessions) {
  const stored = await readStored(query, sessions);
  return sessions.flatMap(({ id, possible, etag }) => {
    const actual = /** @type {Stored} */ (stored.get(id));
    if (!possible.some((state) => isDeepStrictEqual(state, actual.state))) {
      return [
        `${id} is ${JSON.stringify(actual.state)} and may be ${possible.map((one) => JSON.stringify(one)).join(' or ')}`,
      ];
    }
    if (!actual.agrees) return [`the document of ${id} contradicts its columns`];
    const isCertain = possible.length === 1 && etag !== undefined;
    if (isCertain && actual.etag !== etag)
      return [`${id} has the ETag ${actual.etag}, and the last answer had ${etag}`];
    return [];
  });
}
