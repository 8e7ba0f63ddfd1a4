import { columns, writableColumns } from '../model/session.js';
import { sqlTypes } from './conditions.js';
import { stampOf } from './mirror.js';
import { names, privateTypes, recordset, sequence } from './transfer-types.js';

/** The statement that imports sessions. */

const sessionTypes = {
  ...Object.fromEntries(columns.map(({ name, kind }) => [name, sqlTypes[kind]])),
  ...privateTypes,
};

const rawColumns = ['stripe_data', 'status', 'payment_status', 'stripe_api_version'];
/** The gaps go with the stamp: what Stripe sent before a row was imported must not fill its columns. */
const stampColumns = ['stripe_progress', 'stripe_second', 'stripe_event_id', 'stripe_gaps'];

/** What a stored session `s` has after an imported row `r` took its place; a row without a raw object leaves it. */
const replaced: readonly (readonly [name: string, value: string])[] = [
  ...writableColumns.filter(({ name }) => name !== 'id').map(({ name }) => [name, `r."${name}"`] as const),
  ['djstripe_id', 'coalesce(CASE WHEN r.holder IS NULL THEN r.djstripe_id END, s.djstripe_id)'],
  ['djstripe_created', 'coalesce(r.djstripe_created, s.djstripe_created)'],
  ['djstripe_updated', 'r.djstripe_updated'],
  ...rawColumns.map((name) => [name, `CASE WHEN r.stripe_data IS NULL THEN s.${name} ELSE r.${name} END`] as const),
  ...stampColumns.map(
    (name) =>
      [
        name,
        `CASE WHEN s.stripe_progress IS NULL OR ${stampOf('s')} <= ${stampOf('r')} THEN r.${name} ELSE s.${name} END`,
      ] as const,
  ),
];

/**
 * The number counts in a full export alone: a session that was given another number keeps it, so that importing it again
 * changes nothing.
 */
const compared = replaced.filter(([name]) => name !== 'djstripe_id');

const replaces = `r.djstripe_updated >= s.djstripe_updated
  AND (r.stripe_data IS NULL OR s.stripe_progress IS NULL OR ${stampOf('s')} <= ${stampOf('r')})
  AND (r.version IS NOT NULL AND r.djstripe_id <> s.djstripe_id
    OR (${compared.map(([, value]) => value).join(', ')}) IS DISTINCT FROM (${compared.map(([name]) => `s."${name}"`).join(', ')}))`;

/** What a new row has where the import leaves a choice. */
const inserted: Readonly<Record<string, string>> = {
  djstripe_id: `coalesce(CASE WHEN r.holder IS NULL THEN r.djstripe_id END, nextval('${sequence}'))`,
  djstripe_created: 'coalesce(r.djstripe_created, now())',
  djstripe_updated: 'coalesce(r.djstripe_updated, now())',
  // A djstripe_id that is kept had other states elsewhere, or here before it was deleted: their tags stay theirs.
  version: `coalesce(r.version, CASE WHEN r.djstripe_id IS NULL THEN 1 ELSE 1 + floor(random() * (2 ^ 30))::integer END)`,
};

/**
 * `$2` brings back what was deleted, `$3` gives another number where another session has the row's. `$4` has the raw
 * objects that the rows do not hold, a line for each row: inside the JSON of all rows each would be copied several times.
 *
 * A tombstone goes in the statement that writes its session, with the session's ledger: the events that were answered
 * `deleted` or applied before may be what comes back.
 */
export const importSessionsSql = `WITH input AS MATERIALIZED (
    SELECT ${names(sessionTypes)
      .map((name) => (name === '"stripe_data"' ? 'coalesce(r.raw::jsonb, r.stripe_data) AS stripe_data' : `r.${name}`))
      .join(', ')}, r.position,
      (SELECT o.id FROM checkout_session AS o WHERE o.djstripe_id = r.djstripe_id AND o.id <> r.id LIMIT 1) AS holder
    FROM ${recordset(sessionTypes, `unnest(string_to_array($4, E'\\n', ''))`, 'raw')}
  ), r AS MATERIALIZED (
    SELECT r.*, CASE
      WHEN s.id IS NULL AND t.id IS NOT NULL AND NOT $2::boolean THEN 'deleted'
      WHEN s.id IS NOT NULL AND (${replaces}) IS NOT TRUE THEN 'unchanged'
      WHEN r.holder IS NOT NULL AND (r.version IS NOT NULL OR NOT $3::boolean) THEN 'taken'
      WHEN s.id IS NULL THEN 'insert'
      ELSE 'update'
    END AS fate
    FROM input AS r
      LEFT JOIN checkout_session AS s ON s.id = r.id
      LEFT JOIN checkout_session_tombstone AS t ON t.id = r.id
  ), updated AS (
    UPDATE checkout_session AS s
    SET ${replaced.map(([name, value]) => `"${name}" = ${value}`).join(', ')}, version = greatest(s.version + 1, r.version)
    FROM r WHERE s.id = r.id AND r.fate = 'update' RETURNING s.id, s.djstripe_id
  ), inserted AS (
    INSERT INTO checkout_session (${names(sessionTypes).join(', ')})
    SELECT ${Object.keys(sessionTypes)
      .map((name) => inserted[name] ?? `r."${name}"`)
      .join(', ')}
    FROM r WHERE r.fate = 'insert' ORDER BY r.position RETURNING id, djstripe_id
  ), revived AS (
    DELETE FROM checkout_session_tombstone AS t USING r WHERE t.id = r.id AND r.fate = 'insert' RETURNING t.id
  ), forgotten AS (
    DELETE FROM stripe_event AS e USING revived WHERE e.session_id = revived.id
  ), written AS (
    SELECT id, djstripe_id FROM updated UNION ALL SELECT id, djstripe_id FROM inserted
  )
  SELECT CASE WHEN r.fate IN ('insert', 'update') THEN 'applied' ELSE r.fate END AS outcome, r.holder,
    CASE WHEN r.holder IS NOT NULL THEN (SELECT w.djstripe_id::text FROM written AS w WHERE w.id = r.id) END AS number
  FROM r ORDER BY r.position`;
