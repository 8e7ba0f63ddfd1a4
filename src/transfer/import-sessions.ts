import { djstripeIdSequence, liveSessionTypes, quotedNames, writtenTypes } from '../database/columns.js';
import { assignments } from '../database/sessions/statement.js';
import { stateStampSql } from '../database/sessions/upsert.js';
import { recordset } from './recordset.js';

/** The statement that imports sessions. */

const rawColumns = ['stripe_data', 'status', 'payment_status', 'stripe_api_version'];
/** The gaps belong to the stamp: a Stripe state older than an imported row must not fill the row's columns. */
const stampColumns = ['stripe_progress', 'stripe_second', 'stripe_event_id', 'stripe_gaps'];

/**
 * The columns of a stored session `s` after an imported row `r` replaces it. A row without a raw object keeps the stored
 * one.
 */
const replaced: readonly (readonly [name: string, value: string])[] = [
  ...Object.keys(writtenTypes)
    .filter((name) => name !== 'id')
    .map((name) => [name, `r."${name}"`] as const),
  ['djstripe_id', 'coalesce(CASE WHEN a.holder IS NULL THEN r.djstripe_id END, s.djstripe_id)'],
  ['djstripe_created', 'coalesce(r.djstripe_created, s.djstripe_created)'],
  ['djstripe_updated', 'r.djstripe_updated'],
  ...rawColumns.map((name) => [name, `CASE WHEN r.stripe_data IS NULL THEN s.${name} ELSE r.${name} END`] as const),
  ...stampColumns.map(
    (name) =>
      [
        name,
        `CASE WHEN s.stripe_progress IS NULL OR ${stateStampSql('s')} <= ${stateStampSql('r')} THEN r.${name} ELSE s.${name} END`,
      ] as const,
  ),
];

/**
 * The columns that decide whether a row changes anything. djstripe_id counts in a full export only: a session that got a
 * new djstripe_id keeps it, so that importing the row again changes nothing.
 */
const compared = replaced.filter(([name]) => name !== 'djstripe_id');

const replaces = `r.djstripe_updated >= s.djstripe_updated
  AND (r.stripe_data IS NULL OR s.stripe_progress IS NULL OR ${stateStampSql('s')} <= ${stateStampSql('r')})
  AND (r.version IS NOT NULL AND r.djstripe_id <> s.djstripe_id
    OR (${compared.map(([, value]) => value).join(', ')}) IS DISTINCT FROM (${compared.map(([name]) => `s."${name}"`).join(', ')}))`;

/** SQL of the columns of a new row that the import may leave out. */
const inserted: Readonly<Record<string, string>> = {
  djstripe_id: `coalesce(CASE WHEN a.holder IS NULL THEN r.djstripe_id END, nextval('${djstripeIdSequence}'))`,
  djstripe_created: 'coalesce(r.djstripe_created, now())',
  djstripe_updated: 'coalesce(r.djstripe_updated, now())',
  // A kept djstripe_id had other states elsewhere, or here before its deletion. A random version keeps their ETags from
  // matching.
  version: `coalesce(r.version, CASE WHEN r.djstripe_id IS NULL THEN 1 ELSE 1 + floor(random() * (2 ^ 30))::integer END)`,
};

const storedNames = Object.keys(liveSessionTypes);
const rows = quotedNames(liveSessionTypes).map((name) =>
  name === '"stripe_data"' ? 'coalesce(r.raw::jsonb, r.stripe_data) AS stripe_data' : `r.${name}`,
);

/**
 * Imports sessions. `$2`: whether to bring back deleted sessions. `$3`: whether a row gets a new djstripe_id when another
 * session has its own. `$4`: the raw objects that the rows lack, one line for each row. Inside the JSON of all rows
 * PostgreSQL would copy each of them several times.
 *
 * The statement deletes the ledger's events of a session that comes back: an event that was applied before, or answered
 * with `deleted`, may be imported again.
 */
export const importSessionsSql = `WITH input AS MATERIALIZED (
    SELECT ${rows.join(', ')}, r.position
    FROM ${recordset(liveSessionTypes, `unnest(string_to_array($4, E'\\n', ''))`, 'raw')}
  ), stored AS MATERIALIZED (
    SELECT s.id, s.version = 0 AS is_deleted, (${replaces}) IS TRUE AS is_replaceable
    FROM input AS r JOIN checkout_session AS s ON s.id = r.id
  ), holders AS MATERIALIZED (
    SELECT r.id, min(o.id) AS holder FROM input AS r JOIN checkout_session AS o ON o.djstripe_id = r.djstripe_id
    WHERE o.id <> r.id AND o.version <> 0 GROUP BY r.id
  ), actions AS MATERIALIZED (
    SELECT r.id, r.position, h.holder, s.is_deleted, CASE
      WHEN s.is_deleted AND NOT $2::boolean THEN 'deleted'
      WHEN NOT s.is_deleted AND NOT s.is_replaceable THEN 'unchanged'
      WHEN h.holder IS NOT NULL AND (r.version IS NOT NULL OR NOT $3::boolean) THEN 'conflict'
      WHEN s.id IS NULL OR s.is_deleted THEN 'insert'
      ELSE 'update'
    END AS action
    FROM input AS r LEFT JOIN stored AS s ON s.id = r.id LEFT JOIN holders AS h ON h.id = r.id
  ), updated AS (
    UPDATE checkout_session AS s SET ${assignments(replaced)}, version = greatest(s.version + 1, r.version)
    FROM input AS r JOIN actions AS a ON a.id = r.id AND a.action = 'update'
    WHERE s.id = r.id RETURNING s.id, s.djstripe_id
  ), inserted AS (
    INSERT INTO checkout_session AS s (${quotedNames(liveSessionTypes).join(', ')})
    SELECT ${storedNames.map((name) => inserted[name] ?? `r."${name}"`).join(', ')}
    FROM input AS r JOIN actions AS a ON a.id = r.id AND a.action = 'insert' ORDER BY r.position
    ON CONFLICT (id) DO UPDATE SET
      ${assignments([...storedNames.filter((name) => name !== 'id').map((name) => [name, `excluded."${name}"`] as const), ['deleted_at', 'NULL']])}
    WHERE s.version = 0 RETURNING s.id, s.djstripe_id
  ), removed_events AS (
    DELETE FROM stripe_event AS e USING actions AS a
    WHERE e.session_id = a.id AND a.action = 'insert' AND a.is_deleted
  ), written AS (
    SELECT id, djstripe_id FROM updated UNION ALL SELECT id, djstripe_id FROM inserted
  )
  SELECT CASE WHEN a.action IN ('insert', 'update') THEN 'applied' ELSE a.action END AS outcome, a.holder,
    CASE WHEN a.holder IS NOT NULL THEN w.djstripe_id::text END AS "newDjstripeId"
  FROM actions AS a LEFT JOIN written AS w ON w.id = a.id ORDER BY a.position`;
