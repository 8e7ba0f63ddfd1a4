/**
 * The seeded sessions: two years of a shop, each with its raw Stripe object. Two thirds have a known customer, and some
 * customers come back often. Seven in ten have metadata. The server generates the same rows in every run.
 */
import { readFileSync } from 'node:fs';

/** Raise it with every change of the seeded rows: databases of another version are seeded again. */
export const seedVersion = 1;

/** Prefix of the ids that a run creates. The next run deletes them. */
export const createdPrefix = 'cs_bench_';

/** The account of the sessions. */
export const account = 'acct_1032D82eZvKYlo2C';

const batchSize = 20_000;

/** A raw object of the current API version, of about 3 KB. */
export const rawSession = Object.freeze({
  ...JSON.parse(readFileSync(new URL('../../fixtures/sessions/modern-embedded.json', import.meta.url), 'utf8')),
  ...{ success_url: 'https://shop.example.com/thank-you?session_id={CHECKOUT_SESSION_ID}' },
  cancel_url: 'https://shop.example.com/cart',
  ui_mode: 'hosted',
  // Stripe's URLs carry some 300 characters after the fragment.
  url: `https://checkout.stripe.com/c/pay/cs_test#${'fidkdWxOYHwnPyd1blpxYHZxWjA0S2xGYk1'.repeat(9)}`,
});

/** Returns SQL for a number from 0 to 1 that depends only on the row. */
const random = (/** @type {string} */ salt) =>
  `(('x' || substr(md5('${salt}' || i), 1, 7))::bit(28)::int / 268435456.0)`;

/** Selects the sessions `$1` to `$2` of `$3`, with `$4` as the base of their raw object. */
const generated = `
  SELECT i, id, created, customer, mode, status, payment_status, metadata, intent, subscription, reference, email,
    $4::jsonb || jsonb_build_object('id', id, 'created', extract(epoch FROM created)::bigint, 'customer', customer,
      'mode', mode, 'status', status, 'payment_status', payment_status, 'metadata', metadata,
      'payment_intent', intent, 'subscription', subscription, 'client_reference_id', reference,
      'customer_email', email, 'amount_total', (i * 37) % 50000, 'amount_subtotal', (i * 37) % 50000) AS raw
  FROM (
    SELECT i, 'cs_test_' || substr(md5('a' || i) || md5('b' || i), 1, 58) AS id,
      timestamptz '2024-01-01Z' + date_trunc('second', (i - 1 + ${random('second')}) * interval '730 days' / $3) AS created,
      CASE WHEN ${random('has customer')} < 0.66
        THEN 'cus_' || substr(md5('customer' || floor($3 / 5.0 * ${random('customer')} ^ 2)), 1, 14) END AS customer,
      k.mode, k.status, k.payment_status,
      CASE WHEN ${random('metadata')} < 0.7
        THEN jsonb_build_object('order', i::text, 'channel', (ARRAY['web', 'app', 'phone'])[1 + i % 3]) ELSE '{}' END AS metadata,
      CASE WHEN k.mode = 'payment' THEN 'pi_' || substr(md5('intent' || i), 1, 24) END AS intent,
      CASE WHEN k.mode = 'subscription' THEN 'sub_' || substr(md5('subscription' || i), 1, 24) END AS subscription,
      CASE WHEN i % 2 = 0 THEN 'cart/' || i END AS reference,
      CASE WHEN i % 5 = 0 THEN 'buyer' || i || '@example.com' END AS email
    FROM generate_series($1::bigint, $2::bigint) AS i, LATERAL (SELECT
      CASE WHEN ${random('mode')} < 0.7 THEN 'payment' WHEN ${random('mode')} < 0.95 THEN 'subscription' ELSE 'setup' END,
      CASE WHEN ${random('status')} < 0.7 THEN 'complete' ELSE 'expired' END,
      CASE WHEN ${random('status')} < 0.7 THEN 'paid' ELSE 'unpaid' END
    ) AS k (mode, status, payment_status)
  ) AS session`;

/** Columns of both tables, with their values. */
const published = {
  billing_address_collection: `'auto'`,
  mode: 'mode',
  submit_type: `CASE WHEN mode = 'payment' AND i % 4 = 0 THEN 'pay' ELSE 'auto' END`,
  djstripe_created: `created + interval '1.234567 seconds'`,
  djstripe_updated: `created + interval '61.345678 seconds'`,
  id: 'id',
  livemode: 'false',
  created: 'created',
  metadata: 'metadata',
  cancel_url: `raw ->> 'cancel_url'`,
  client_reference_id: `coalesce(reference, '')`,
  customer_email: `coalesce(email, '')`,
  locale: `'auto'`,
  payment_method_types: `'{"0": "card", "1": "link"}'::jsonb`,
  success_url: `raw ->> 'success_url'`,
  djstripe_owner_account: `'${account}'`,
  customer: 'customer',
  payment_intent: 'intent',
  subscription: 'subscription',
};

/** Columns with private data from Stripe, with their values. Both tables have the first three. */
const mirrored = {
  stripe_data: 'raw',
  status: 'status',
  payment_status: 'payment_status',
  stripe_progress: '2',
  stripe_second: 'extract(epoch FROM created)::bigint + 60',
  stripe_event_id: `'evt_' || substr(md5('event' || i), 1, 24)`,
  stripe_api_version: `'2026-07-29'`,
};

const all = { ...published, ...mirrored };
const insert = `INSERT INTO checkout_session (${Object.keys(all).join(', ')})
  SELECT ${Object.values(all).join(', ')} FROM (${generated}) AS session ORDER BY i`;

/**
 * The contenders' table: the same rows, with an index for the order of the list and one for its filter. It has the name that
 * Prisma's client expects, in a schema of its own, and the column `version` that this client sets.
 */
const columns = ['djstripe_id', ...Object.keys(published), 'stripe_data', 'status', 'payment_status'].join(', ');
const contender = [
  'DROP SCHEMA IF EXISTS contender CASCADE',
  'CREATE SCHEMA contender',
  `CREATE TABLE contender.checkout_session (
    djstripe_id bigserial UNIQUE, billing_address_collection text NOT NULL, mode text NOT NULL, submit_type text NOT NULL,
    djstripe_created timestamptz NOT NULL DEFAULT now(), djstripe_updated timestamptz NOT NULL DEFAULT now(),
    id text COLLATE "C" PRIMARY KEY, livemode boolean, created timestamptz, metadata jsonb, description text,
    cancel_url text NOT NULL DEFAULT '', client_reference_id text NOT NULL DEFAULT '',
    customer_email text NOT NULL DEFAULT '', display_items jsonb, locale text NOT NULL DEFAULT '',
    payment_method_types jsonb NOT NULL, success_url text NOT NULL DEFAULT '', djstripe_owner_account text,
    customer text, payment_intent text, subscription text, stripe_data jsonb, status text, payment_status text,
    event_created bigint, version integer NOT NULL DEFAULT 1)`,
  `INSERT INTO contender.checkout_session (${columns}, event_created)
    SELECT ${columns}, stripe_second FROM public.checkout_session ORDER BY djstripe_id`,
  `SELECT setval('contender.checkout_session_djstripe_id_seq', max(djstripe_id)) FROM contender.checkout_session`,
  'CREATE INDEX ON contender.checkout_session (created DESC, id DESC)',
  'CREATE INDEX ON contender.checkout_session (customer, created DESC, id DESC)',
  'VACUUM (ANALYZE) contender.checkout_session',
];

/**
 * Inserts the sessions.
 *
 * @param {import('pg').Client} client of a migrated, empty database @param {number} rows
 * @param {(line: string) => void} report
 */
export async function seed(client, rows, report) {
  const raw = JSON.stringify(rawSession);
  for (let from = 1; from <= rows; from += batchSize) {
    const to = Math.min(from + batchSize - 1, rows);
    await client.query(insert, [from, to, rows, raw]);
    report(`seeded ${to.toLocaleString('en')} of ${rows.toLocaleString('en')} sessions`);
  }
}

/**
 * Restores the state before the earlier runs: deletes the rows that they created, and vacuums the dead rows now so that
 * autovacuum does not run during a measurement. Each run fills the contenders' table again, so ours must be as compact.
 *
 * @param {import('pg').Client} client @param {number} rows
 */
export async function clean(client, rows) {
  await client.query('DELETE FROM checkout_session WHERE id >= $1 AND id < $2', [createdPrefix, `${createdPrefix}z`]);
  await client.query('TRUNCATE stripe_event');
  const { rows: counted } = await client.query('SELECT count(*)::int AS count FROM checkout_session');
  if (counted[0].count !== rows) {
    throw new Error(`the database has ${counted[0].count} sessions instead of ${rows}: drop it with --drop`);
  }
  await client.query('VACUUM (FULL) checkout_session');
  await client.query('VACUUM (ANALYZE) checkout_session');
}

/** Copies the present rows of our table to the contenders' table. @param {import('pg').Client} client */
export async function copyForContenders(client) {
  for (const statement of contender) await client.query(statement);
}

/** Makes a checkpoint now, so that none falls into a measurement. @param {import('pg').Client} client */
export async function settle(client) {
  // A checkpoint needs a privilege that nothing else in a run needs.
  await client.query('CHECKPOINT').catch(() => {});
}
