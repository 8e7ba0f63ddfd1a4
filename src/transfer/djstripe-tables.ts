import type { Database } from '../database/engine/database.js';

/** Reads the sessions of a dj-stripe database of any version. */

/**
 * A row of `djstripe_session` with the columns that its version has. References are Stripe's ids; maps are JSON values or
 * their text.
 */
export type DjstripeRow = Readonly<Record<string, unknown>> & { readonly djstripe_id: string | number };

const pageSize = 1000;

/** The reference columns and the tables that they refer to. */
const references: Readonly<Record<string, string>> = {
  customer_id: 'djstripe_customer',
  payment_intent_id: 'djstripe_paymentintent',
  setup_intent_id: 'djstripe_setupintent',
  subscription_id: 'djstripe_subscription',
  djstripe_owner_account_id: 'djstripe_account',
};

const plain = [
  ...['id', 'livemode', 'description', 'billing_address_collection', 'cancel_url', 'client_reference_id', 'currency'],
  ...['customer_email', 'locale', 'mode', 'payment_status', 'status', 'submit_type', 'success_url', 'url'],
];
// Cast to float8: pg returns a bigint as text.
const amounts = ['amount_subtotal', 'amount_total'];
// jsonb; or text before 2.8, when dj-stripe was configured so.
const maps = [
  ...['metadata', 'display_items', 'payment_method_types', 'stripe_data', 'line_items', 'shipping_address_collection'],
  ...['shipping_cost', 'shipping_details', 'shipping_options', 'total_details'],
];
const times = ['created', 'djstripe_created', 'djstripe_updated'];

/** The database has no table `djstripe_session`, or a table that is not dj-stripe's. */
export class NotDjstripe extends Error {}

/** Returns the columns of a table and their types. Empty when there is no such table. */
async function columnsOf(database: Database, table: string): Promise<ReadonlyMap<string, string>> {
  const rows = await database.query<{ name: string; type: string }>({
    text: `SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns
      WHERE table_schema = ANY (current_schemas(false)::text[]) AND table_name = $1`,
    values: [table],
  });
  return new Map(rows.map(({ name, type }) => [name, type]));
}

/**
 * Returns the SQL of a column's value, or undefined for a column that is not imported. DJSTRIPE_FOREIGN_KEY_TO_FIELD
 * decides whether a reference holds a Stripe id or dj-stripe's number. The owner's may differ from the others, so each
 * column's type decides.
 */
function valueSql(name: string, type: string): string | undefined {
  const table = references[name];
  if (table !== undefined) {
    const value = /^(bigint|integer)$/.test(type)
      ? `(SELECT r.id FROM ${table} AS r WHERE r.djstripe_id = s.${name})`
      : `s.${name}`;
    return `${value} AS ${name.replace(/_id$/, '')}`;
  }
  if (times.includes(name)) {
    return `to_char(s.${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ${name}`;
  }
  // Never read client_secret: a browser can finish the session with it.
  if (name === 'stripe_data') {
    const value = `s.${name}::jsonb`;
    return `CASE jsonb_typeof(${value}) WHEN 'object' THEN (${value} - 'client_secret')::text END AS ${name}`;
  }
  if (maps.includes(name)) return `s.${name}::text AS ${name}`;
  if (amounts.includes(name)) return `s.${name}::float8 AS ${name}`;
  return plain.includes(name) ? `s.${name}` : undefined;
}

/**
 * Reads all sessions in the order of djstripe_id. It queries the next page while the caller handles this one.
 *
 * @throws NotDjstripe when the table is missing or not dj-stripe's.
 */
export async function* djstripeRows(database: Database): AsyncGenerator<DjstripeRow> {
  const columns = await columnsOf(database, 'djstripe_session');
  for (const name of ['djstripe_id', 'id', 'djstripe_updated']) {
    if (columns.has(name)) continue;
    throw new NotDjstripe(
      columns.size === 0 ? 'There is no table djstripe_session.' : `The table djstripe_session has no column ${name}.`,
    );
  }
  const values = [...columns].flatMap(([name, type]) => valueSql(name, type) ?? []);
  const text = `SELECT s.djstripe_id::text, ${values.join(', ')} FROM djstripe_session AS s
    WHERE s.djstripe_id > $1::bigint ORDER BY s.djstripe_id LIMIT $2::bigint`;
  const pageAfter = (last: string) => database.query<DjstripeRow>({ text, values: [last, pageSize] });
  for (let page: Promise<DjstripeRow[]> | undefined = pageAfter('0'); page; ) {
    const rows: DjstripeRow[] = await page;
    page = rows.length < pageSize ? undefined : pageAfter(String(rows.at(-1)?.djstripe_id));
    // The loop awaits it after this page. Until then this keeps a failure from being an unhandled rejection.
    page?.catch(() => {});
    yield* rows;
  }
}
