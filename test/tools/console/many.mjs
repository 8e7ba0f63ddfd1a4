/** A DATA_DIR with many sessions for the console to page through. */
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { migrate } from '../lib/command.mjs';

/** Inserts sessions by their index `n`: one every eight seconds, so more than 10,000 a day. */
const insert = `INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, payment_method_types,
    livemode, created, metadata, customer_email, status, payment_status, stripe_data)
  SELECT 'cs_live_' || md5(n::text), 'auto', 'payment', 'pay', '{"0": "card"}', true, now() - n * interval '8 seconds',
    jsonb_build_object('order', n::text), 'buyer' || n || '@example.com',
    CASE WHEN n % 10 < 7 THEN 'complete' ELSE 'expired' END, CASE WHEN n % 10 < 7 THEN 'paid' ELSE 'unpaid' END,
    jsonb_build_object('id', 'cs_live_' || md5(n::text), 'amount_total', 500 + n % 5000, 'currency', 'usd',
      'status', CASE WHEN n % 10 < 7 THEN 'complete' ELSE 'expired' END,
      'payment_status', CASE WHEN n % 10 < 7 THEN 'paid' ELSE 'unpaid' END)
  FROM generate_series($1::int, $2::int) AS n`;

/** Fills a DATA_DIR. @param {string} directory @param {number} count */
export async function fillDirectory(directory, count) {
  await migrate({ DATA_DIR: directory });
  const pglite = await PGlite.create({ dataDir: join(directory, 'postgres') });
  const step = 20_000;
  for (let from = 1; from <= count; from += step) await pglite.query(insert, [from, Math.min(count, from + step - 1)]);
  await pglite.exec('VACUUM (ANALYZE) checkout_session');
  await pglite.close();
}
