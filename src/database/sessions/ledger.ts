import type { ColumnTypes } from '../columns.js';
import { inputStatement } from './statement.js';

/** Logs the events of deliveries: the common end of the statements that store states. */

/** The columns of an event that its state does not have. */
export const deliveryTypes: ColumnTypes = {
  type: 'text',
  account: 'text',
  event_livemode: 'boolean',
  event_created: 'bigint',
};

/**
 * Returns a CTE and the final SELECT. They log the events of the given CTE and return the outcomes. A second endpoint may deliver
 * the same event in the shape of another API version. The ledger merges both into one entry with the greater version. A stale
 * delivery, or one of a deleted session, is a `duplicate` if the ledger already has its event.
 */
export const logEventsSql = (result: string) => `logged AS (
    INSERT INTO stripe_event AS e (session_id, id, type, account, livemode, api_version, created, outcome)
    SELECT id, stripe_event_id, type, account, event_livemode, stripe_api_version, to_timestamp(event_created), outcome
    FROM ${result} WHERE type IS NOT NULL AND outcome IN ('applied', 'stale', 'deleted')
    ON CONFLICT (session_id, id) DO UPDATE SET
      api_version = greatest(e.api_version COLLATE "C", excluded.api_version COLLATE "C"),
      outcome = CASE WHEN excluded.outcome = 'applied' THEN 'applied' ELSE e.outcome END
    WHERE coalesce(e.api_version, '') COLLATE "C" < coalesce(excluded.api_version, '') COLLATE "C"
      OR excluded.outcome = 'applied'
    RETURNING session_id
  )
  SELECT id, CASE
    WHEN outcome IN ('stale', 'deleted') AND (is_logged OR type IS NOT NULL AND id NOT IN (SELECT session_id FROM logged))
      THEN 'duplicate'
    ELSE outcome
  END AS outcome FROM ${result}`;

/** The columns of an input that the ledger needs. */
export const ledgerInputColumns = ['id', 'stripe_event_id', 'stripe_api_version', ...Object.keys(deliveryTypes)];

/** A delivery whose state was stored: the columns of an input that the ledger needs, and the outcome. */
export interface StoredDelivery {
  readonly id: string;
  readonly outcome: string | null;
  readonly [column: string]: unknown;
}

/** Logs the events of deliveries whose states another statement has stored. */
export const logEvents = inputStatement<StoredDelivery, { id: string; outcome: string }>({
  name: 'log-events',
  types: {
    ...{ id: 'text', stripe_event_id: 'text', stripe_api_version: 'text', ...deliveryTypes },
    ...{ is_logged: 'boolean', outcome: 'text' },
  },
  sql: `, ${logEventsSql('input')}`,
  rowOf: (delivery) => delivery,
});
