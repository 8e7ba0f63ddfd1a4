import { columns } from '../../model/session.js';
import { tombstoneOrder } from '../columns.js';
import type { Database, Statement } from '../engine/database.js';
import type { ListTable } from '../list/plan.js';
import { paymentSql } from './payment.js';
import { byId, etagSql, shardHint } from './statement.js';

/** Reads sessions by id, one or many in a statement. */

/** A stored session: its response body and its ETag. */
export type StoredSession = Stored<string>;

interface Stored<Document> {
  /** JSON text from PostgreSQL, ready to send. */
  readonly document: Document;
  /** The strong ETag, with its quotes. */
  readonly etag: string;
}

/** The SQL of the document with the property `payment` added. */
const documentWithPayment = `left(s.document, -1) || ',"payment":' || coalesce(${paymentSql}, 'null') || '}'`;

const selectOneSql = (document: string) =>
  `SELECT ${document} AS document, ${etagSql('s')} AS etag FROM checkout_session AS s WHERE s.id = $1 AND s.version <> 0`;

const findOneSql = selectOneSql('s.document');
// Join, not ANY($1): with ANY the planner prefers a custom plan for the given ids, and plans each call again.
const findManySql = `SELECT s.id, s.document, ${etagSql('s')} AS etag
  FROM jsonb_array_elements_text($1::jsonb) AS r (id) JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
  WHERE s.version <> 0`;
const findWithPaymentSql = selectOneSql(documentWithPayment);
const findPaymentSql = selectOneSql(paymentSql);
const findStripeDataSql = selectOneSql('s.stripe_data::text');

/** The table of the session list. */
export const sessionTable: ListTable = {
  name: 'checkout_session',
  where: 's.version <> 0',
  hiddenValues: tombstoneOrder,
  kinds: Object.fromEntries(columns.map(({ name, kind }) => [name, kind])),
  nullable: ['created'],
  document: (include) => (include === 'payment' ? documentWithPayment : 's.document'),
};

/** Reads sessions by id. Returns them in the order of the ids, with undefined for an id without a session. */
export async function findSessions(
  query: Database['query'],
  ids: readonly string[],
  limit: Pick<Statement, 'lockTimeout'>,
): Promise<(StoredSession | undefined)[]> {
  // The statement for many ids is about 5% slower for a single id.
  if (ids.length === 1) return query<StoredSession>({ name: 'find-one', text: findOneSql, values: ids, ...limit });
  const values = [JSON.stringify(ids)];
  const rows = await query<StoredSession & { id: string }>({ name: 'find', text: findManySql, values, ids, ...limit });
  return byId(rows, ids);
}

/** Reads one session, without a batch. */
export function sessionReads({ query }: Database) {
  async function readOne<Document extends string | null>(name: string, text: string, id: string) {
    const [row] = await query<Stored<Document>>({ name, text, values: [id], ids: [id] });
    return row;
  }

  return {
    /** Returns a session with `payment` added. */
    withPayment: (id: string) => readOne<string>('find-payment', findWithPaymentSql, id),

    /** Returns the payment of a session: state, amounts and last event. Its document is null without a state from Stripe. */
    payment: (id: string) => readOne<string | null>('payment', findPaymentSql, id),

    /** Returns the raw Stripe object of a session's newest state. Its document is null without a state from Stripe. */
    stripeData: (id: string) => readOne<string | null>('stripe-data', findStripeDataSql, id),

    /** Returns the account that owns a session, or undefined if it is unknown. */
    async accountOf(id: string): Promise<string | undefined> {
      const text = 'SELECT djstripe_owner_account AS account FROM checkout_session WHERE id = $1';
      const [row] = await query<{ account: string | null }>({ name: 'account', text, values: [id] });
      return row?.account ?? undefined;
    },
  };
}

/** The parts of a stored session that a backfill compares with Stripe. */
export interface StoredState {
  readonly id: string;
  readonly is_deleted: boolean;
  /** The published columns as JSON, or an empty string for a tombstone. */
  readonly document: string;
  readonly status: string | null;
  readonly payment_status: string | null;
}

/** Reads the rows of some ids, tombstones included. */
export function storedStates({ query }: Database, ids: readonly string[]): Promise<StoredState[]> {
  const text = `SELECT id, version = 0 AS is_deleted, document, status, payment_status
    FROM checkout_session WHERE id = ANY($1::text[])`;
  return query<StoredState>({ text, values: [ids] });
}
