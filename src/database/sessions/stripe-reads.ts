import type { Cursor } from '../../model/cursor.js';
import type { Condition } from '../../model/filters.js';
import { missingSession } from '../../model/stripe-errors.js';
import type { StripeFilterName, StripeListQuery, StripeView } from '../../model/stripe-reads.js';
import { type BatchObserver, batching, readBatch } from '../batch.js';
import type { Database } from '../engine/database.js';
import { Prisma } from '../generated/client.js';
import { documentsReader } from '../list/batch.js';
import { readPage } from '../list/page.js';
import { type ListTable, pageStatements } from '../list/plan.js';
import { shardHint } from './statement.js';

/** Reads raw Stripe objects for Stripe's SDKs: each session as Stripe sent it last. */

/** The SQL of the raw object of a row `s` in the shape of Stripe's API. Line items are an expansion, so they are left out. */
const rawDocument = 's.stripe_document';
const rawDocumentWithLineItems = `left(s.stripe_data::text, -1) || ', "client_secret": null}'`;

/** A session as Stripe sent it last. */
export interface RawSession {
  /** The object as JSON. It has line items only if the reader asked for them. */
  readonly document: string;
  readonly livemode: boolean | null;
  /** The account that owns the session, or null if it is unknown. */
  readonly owner: string | null;
  /** Whether Stripe's state is final: paid, no payment required, or expired. */
  readonly is_final: boolean;
  /** The API version of the object's shape. */
  readonly api_version: string | null;
}

const columnsOf = (document: string) => `${document} AS document, s.stripe_livemode AS livemode,
  s.djstripe_owner_account AS owner, s.stripe_progress = 2 AS is_final, s.stripe_api_version AS api_version`;

// Join, not ANY($1): with ANY the planner prefers a custom plan for the given ids, and plans each call again.
const findSql = `SELECT s.id, ${columnsOf(rawDocument)}
  FROM jsonb_array_elements_text($1::jsonb) AS r (id) JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
  WHERE s.stripe_document IS NOT NULL`;

// The statement for many ids is slower for a single id.
const findAloneSql = `SELECT ${columnsOf(rawDocument)}
  FROM checkout_session AS s WHERE s.id = $1 AND s.stripe_document IS NOT NULL`;

const findWithLineItemsSql = `SELECT ${columnsOf(rawDocumentWithLineItems)}
  FROM checkout_session AS s WHERE s.id = $1 AND s.stripe_data IS NOT NULL`;

/** Returns the SQL conditions that a reader may see a row `s`. {@link isVisible} is the same rule in JavaScript. */
function visibilityConditions({ livemode, account }: StripeView, ownAccount: string | undefined): Prisma.Sql[] {
  return [
    Prisma.sql`s.stripe_document IS NOT NULL`,
    ...(livemode === undefined ? [] : [Prisma.sql`s.stripe_livemode = ${livemode}::boolean`]),
    ...(account !== undefined
      ? [Prisma.sql`s.djstripe_owner_account = ${account}::text`]
      : ownAccount !== undefined
        ? [Prisma.sql`(s.djstripe_owner_account IS NULL OR s.djstripe_owner_account = ${ownAccount}::text)`]
        : []),
  ];
}

/** Returns whether a reader may see a session. */
export function isVisible(session: RawSession, { livemode, account }: StripeView, ownAccount?: string): boolean {
  const { owner } = session;
  if (livemode !== undefined && session.livemode !== livemode) return false;
  if (account !== undefined) return owner === account;
  return ownAccount === undefined || owner === null || owner === ownAccount;
}

/** Returns a condition on a reference of the raw object. Stripe sends a reference as an id, or expands it to an object. */
const referenceIs = (name: string) => (id: string) =>
  Prisma.sql`${Prisma.raw(`coalesce(s.stripe_data #>> '{${name},id}', s.stripe_data ->> '${name}')`)} = ${id}::text`;

/**
 * The column of each filter. A client may have changed a published column, so `raw` adds a condition on the value that Stripe
 * sent.
 */
const filterOf: Readonly<Record<StripeFilterName, { column: string; raw?: (value: string) => Prisma.Sql }>> = {
  customer: { column: 'customer', raw: referenceIs('customer') },
  customer_account: { column: 'customer_account' },
  'customer_details[email]': { column: 'email', raw: (value) => Prisma.sql`s.checkout_email = lower(${value}::text)` },
  payment_intent: { column: 'payment_intent', raw: referenceIs('payment_intent') },
  payment_link: { column: 'payment_link' },
  status: { column: 'status' },
  subscription: { column: 'subscription', raw: referenceIs('subscription') },
};

const filtersOf = ({ filters }: StripeListQuery) => Object.entries(filters) as [StripeFilterName, string][];

function conditionsOf(query: StripeListQuery): Condition[] {
  return [
    ...filtersOf(query).map(([name, value]): Condition => {
      return { column: filterOf[name].column, kind: 'text', lookup: 'exact', value };
    }),
    ...Object.entries(query.created).map(([bound, second]): Condition => {
      const value = new Date(1000 * second).toISOString();
      return { column: 'created', kind: 'timestamp', lookup: bound as 'exact' | 'gt' | 'gte' | 'lt' | 'lte', value };
    }),
  ];
}

const rawTable: ListTable = {
  name: 'checkout_session',
  nullable: ['created'],
  kinds: { created: 'timestamp' },
  document: (include) => (include === 'line_items' ? rawDocumentWithLineItems : rawDocument),
};

/** A page of raw objects. */
export interface RawPage {
  /** The objects in order, as the elements of a JSON array. */
  readonly results: string;
  /** Whether the results are ASCII. Such a text can be sent without encoding it to UTF-8. */
  readonly isAscii: boolean;
  readonly hasMore: boolean;
}

export type StripeReadStore = ReturnType<typeof stripeReadStore>;

/**
 * Reads raw Stripe objects.
 *
 * @param ownAccount the account whose sessions a reader sees without `Stripe-Account`. If it is undefined, such a reader sees
 *   the sessions of all accounts.
 */
export function stripeReadStore(database: Database, ownAccount?: string, onBatch?: BatchObserver) {
  const findOne = batching<string, RawSession | undefined>({
    ...readBatch,
    onBatch: onBatch && ((size) => onBatch('stripe-read', size)),
    async run(ids) {
      if (ids.length === 1) {
        return database.query<RawSession>({ name: 'stripe-find-alone', text: findAloneSql, values: ids });
      }
      const values = [JSON.stringify(ids)];
      const rows = await database.query<RawSession & { id: string }>({
        name: 'stripe-find',
        text: findSql,
        values,
        ids,
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id));
    },
  });
  const readDocuments = documentsReader(database, onBatch);

  /** Returns the list cursor for Stripe's `starting_after` or `ending_before`, which name a session by its id. */
  async function cursorOf(view: StripeView, { cursor }: StripeListQuery): Promise<Cursor | undefined> {
    if (!cursor) return undefined;
    const { param, id } = cursor;
    const [row] = await database.query<{ created: string | null }>(
      Prisma.sql`SELECT s.created::text AS created FROM checkout_session AS s
        WHERE s.id = ${id}::text AND ${Prisma.join(visibilityConditions(view, ownAccount), ' AND ')}`,
    );
    if (!row) throw missingSession(id, { status: 400, param });
    return { ordering: '-created', side: param === 'starting_after' ? 'after' : 'before', value: row.created, id };
  }

  return {
    isVisible: (session: RawSession, view: StripeView) => isVisible(session, view, ownAccount),

    /** Returns a session that came from Stripe, or undefined. It does not check whether the reader may see the session. */
    async find(id: string, withLineItems: boolean): Promise<RawSession | undefined> {
      if (!withLineItems) return findOne(id);
      const [row] = await database.query<RawSession>({
        name: 'stripe-find-line-items',
        text: findWithLineItemsSql,
        values: [id],
      });
      return row;
    },

    /** Returns whether a session was deleted from this service. */
    async isDeleted(id: string): Promise<boolean> {
      const text = 'SELECT version = 0 AS is_deleted FROM checkout_session WHERE id = $1';
      const [row] = await database.query<{ is_deleted: boolean }>({ name: 'stripe-deleted', text, values: [id] });
      return row?.is_deleted ?? false;
    },

    /**
     * Reads a page of the sessions that a reader may see, newest first.
     *
     * @throws StripeError with status 400 when the cursor names a session that this reader may not see.
     */
    async list(view: StripeView, query: StripeListQuery): Promise<RawPage> {
      const rawConditions = filtersOf(query).flatMap(([name, value]) => filterOf[name].raw?.(value) ?? []);
      const pageQuery = {
        conditions: conditionsOf(query),
        ordering: { column: 'created', descending: true },
        limit: query.limit,
        cursor: await cursorOf(view, query),
        count: undefined,
        include: query.withLineItems ? 'line_items' : undefined,
      };
      const conditions = [...visibilityConditions(view, ownAccount), ...rawConditions];
      const statements = pageStatements(rawTable, pageQuery, conditions);
      const { text, isAscii, hasMore } = await readPage(readDocuments, statements, pageQuery);
      return { results: text, isAscii, hasMore };
    },
  };
}
