/**
 * The service that a good engineer writes by hand for speed: Fastify and pg, prepared statements, schemas for requests and
 * answers, keyset pagination. It lacks the further work of ours: keys, logs, ETags and preconditions, null ordering values
 * in pages, the ledger, tombstones.
 */
import Fastify from 'fastify';
import pg from 'pg';
import Stripe from 'stripe';
import {
  columns,
  createBody,
  emptyValue,
  listQuery,
  patchBody,
  replaceBody,
  responses,
  writableColumns,
} from './schema.mjs';
import { namer, nextUrl, readCursor, serve } from './serve.mjs';

// Timestamps as text: faster than a Date, and with microseconds.
const parsers = new Map([
  [pg.types.builtins.TIMESTAMPTZ, (/** @type {string} */ text) => `${text.replace(' ', 'T')}:00`],
  [pg.types.builtins.INT8, Number],
]);
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: 10,
  options: '-c timezone=UTC',
  types: { getTypeParser: (oid, format) => parsers.get(oid) ?? pg.types.getTypeParser(oid, format) },
});

const nameOf = namer();
const app = Fastify();
const { session, page } = responses();
const selected = columns.join(', ');
const written = writableColumns.join(', ');
const placeholders = writableColumns.map((_, index) => `$${index + 1}`).join(', ');
const notFound = { error: 'not found' };

const find = `SELECT ${selected} FROM contender.checkout_session WHERE id = $1`;
app.get('/api/checkout-sessions/:id', { schema: { response: { 200: session } } }, async ({ params }, reply) => {
  const { rows } = await pool.query({ name: 'find', text: find, values: [params.id] });
  return rows[0] ?? reply.code(404).send(notFound);
});

app.get('/api/checkout-sessions', { schema: { querystring: listQuery, response: { 200: page } } }, async (request) => {
  const { limit, cursor, customer, created__lt } = request.query;
  const values = [limit + 1];
  const conditions = [];
  if (customer !== undefined) conditions.push(`customer = $${values.push(customer)}`);
  if (created__lt !== undefined) conditions.push(`created < $${values.push(created__lt)}`);
  if (cursor !== undefined) {
    const { created, id } = readCursor(cursor);
    conditions.push(`(created, id) < ($${values.push(created)}, $${values.push(id)})`);
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const text = `SELECT ${selected} FROM contender.checkout_session ${where}
      ORDER BY created DESC, id DESC LIMIT $1`;
  const { rows } = await pool.query({ name: nameOf(text), text, values });
  const more = rows.length > limit;
  if (more) rows.pop();
  const last = rows.at(-1);
  const next = more ? nextUrl(request, { created: last.created, id: last.id }) : null;
  return { count: null, next, previous: null, results: rows };
});

/** @param {Record<string, unknown>} body */
const valuesOf = (body) => writableColumns.map((column) => body[column] ?? emptyValue(column));

const create = `INSERT INTO contender.checkout_session (${written}) VALUES (${placeholders}) RETURNING ${selected}`;
app.post(
  '/api/checkout-sessions',
  { schema: { body: createBody, response: { 201: session } } },
  async ({ body }, reply) => {
    try {
      const { rows } = await pool.query({ name: 'create', text: create, values: valuesOf(body) });
      return reply.code(201).send(rows[0]);
    } catch (error) {
      if (error.code === '23505') return reply.code(409).send({ error: 'exists' });
      throw error;
    }
  },
);

const assigned = writableColumns.filter((column) => column !== 'id').map((column) => `${column} = EXCLUDED.${column}`);
const replace = `INSERT INTO contender.checkout_session (${written}) VALUES (${placeholders})
  ON CONFLICT (id) DO UPDATE SET ${assigned.join(', ')}, djstripe_updated = now()
  RETURNING ${selected}, xmax = 0 AS inserted`;
app.put(
  '/api/checkout-sessions/:id',
  { schema: { body: replaceBody, response: { 200: session, 201: session } } },
  async ({ params, body }, reply) => {
    const values = valuesOf({ ...body, id: params.id });
    const { rows } = await pool.query({ name: 'replace', text: replace, values });
    return reply.code(rows[0].inserted ? 201 : 200).send(rows[0]);
  },
);

const merged = ['metadata', 'display_items', 'payment_method_types'];
app.patch(
  '/api/checkout-sessions/:id',
  { schema: { body: patchBody, response: { 200: session } } },
  async ({ params, body }, reply) => {
    const changed = writableColumns.filter((column) => column !== 'id' && column in body);
    const assignments = changed.map((column, index) =>
      merged.includes(column) && body[column] !== null
        ? `${column} = jsonb_strip_nulls(coalesce(${column}, '{}') || $${index + 2})`
        : `${column} = $${index + 2}`,
    );
    const text = `UPDATE contender.checkout_session SET ${[...assignments, 'djstripe_updated = now()'].join(', ')}
      WHERE id = $1 RETURNING ${selected}`;
    const values = [params.id, ...changed.map((column) => body[column] ?? emptyValue(column))];
    const { rows } = await pool.query({ name: nameOf(text), text, values });
    return rows[0] ?? reply.code(404).send(notFound);
  },
);

const mirrored = [
  ...['id', 'billing_address_collection', 'mode', 'submit_type', 'livemode', 'created', 'metadata', 'cancel_url'],
  ...['client_reference_id', 'customer_email', 'locale', 'payment_method_types', 'success_url'],
  ...['djstripe_owner_account', 'customer', 'payment_intent', 'subscription', 'stripe_data', 'status'],
  ...['payment_status', 'event_created'],
];
const upsert = `INSERT INTO contender.checkout_session AS s (${mirrored.join(', ')})
  VALUES (${mirrored.map((_, index) => `$${index + 1}`).join(', ')})
  ON CONFLICT (id) DO UPDATE SET
    ${mirrored
      .slice(1)
      .map((column) => `${column} = EXCLUDED.${column}`)
      .join(', ')}, djstripe_updated = now()
  WHERE s.event_created IS NULL OR s.event_created <= EXCLUDED.event_created`;
const stripe = new Stripe('sk_test_unused');

app.register(async (webhook) => {
  webhook.removeAllContentTypeParsers();
  webhook.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  webhook.post('/webhooks/stripe', async ({ headers, body }, reply) => {
    let event;
    try {
      event = stripe.webhooks.constructEvent(body, headers['stripe-signature'], process.env.STRIPE_WEBHOOK_SECRET);
    } catch {
      return reply.code(400).send({ error: 'signature' });
    }
    const { client_secret, ...object } = event.data.object;
    const values = [
      ...[object.id, object.billing_address_collection ?? 'auto', object.mode, object.submit_type ?? 'auto'],
      ...[object.livemode, new Date(object.created * 1000), object.metadata, object.cancel_url ?? ''],
      ...[object.client_reference_id ?? '', object.customer_email ?? '', object.locale ?? ''],
      ...[{ ...object.payment_method_types }, object.success_url ?? '', event.account ?? null],
      ...[object.customer, object.payment_intent, object.subscription, object, object.status],
      ...[object.payment_status, event.created],
    ];
    const { rowCount } = await pool.query({ name: 'upsert', text: upsert, values });
    return { outcome: rowCount === 1 ? 'applied' : 'stale' };
  });
});

await serve(app, () => pool.end());
