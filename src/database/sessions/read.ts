import { columns } from '../../model/session.js';
import { tombstoneOrder } from '../columns.js';
import type { Database, Statement } from '../engine/database.js';
import type { ListTable } from '../list/plan.js';
import { paymentSql } from './payment.js';
import { byId, etagSql, shardHint } from './statement.js';

/** The statements that read one session, or many by their ids. */

/** A session as it is stored: its response, ready to send, and its tag. */
export type StoredSession = Stored<string>;

interface Stored<Document> {
  /** JSON made by PostgreSQL. */
  readonly document: Document;
  /** The strong entity tag, with its quotes. */
  readonly etag: string;
}

/** The document with the property `payment` added. */
const documentWithPayment = `left(s.document, -1) || ',"payment":' || coalesce(${paymentSql}, 'null') || '}'`;

const oneOf = (document: string) =>
  `SELECT ${document} AS document, ${etagSql('s')} AS etag FROM checkout_session AS s WHERE s.id = $1 AND s.version <> 0`;

const findOne = oneOf('s.document');
// Join, not ANY($1): with ANY the planner takes a plan for the ids at hand for cheaper, and plans each time.
const findMany = `SELECT s.id, s.document, ${etagSql('s')} AS etag
  FROM jsonb_array_elements_text($1::jsonb) AS r (id) JOIN checkout_session AS s ON s.id = r.id ${shardHint('s.id')}
  WHERE s.version <> 0`;
const findWithPayment = oneOf(documentWithPayment);
const findPayment = oneOf(paymentSql);
const findStripeData = oneOf('s.stripe_data::text');

/** What the list reads. */
export const sessionTable: ListTable = {
  name: 'checkout_session',
  where: 's.version <> 0',
  hiddenValues: tombstoneOrder,
  kinds: Object.fromEntries(columns.map(({ name, kind }) => [name, kind])),
  nullable: ['created'],
  document: (include) => (include === 'payment' ? documentWithPayment : 's.document'),
};

/** Reads sessions by their ids, in their order; undefined for an id without a session. */
export async function findSessions(
  query: Database['query'],
  ids: readonly string[],
  limit: Pick<Statement, 'lockTimeout'>,
): Promise<(StoredSession | undefined)[]> {
  // The statement for many is about 5% slower for a single id.
  if (ids.length === 1) return query<StoredSession>({ name: 'find-one', text: findOne, values: ids, ...limit });
  const values = [JSON.stringify(ids)];
  const rows = await query<StoredSession & { id: string }>({ name: 'find', text: findMany, values, ids, ...limit });
  return byId(rows, ids);
}

/** The reads of one session that are not gathered into batches. */
export function sessionReads({ query }: Database) {
  async function one<Document extends string | null>(name: string, text: string, id: string) {
    const [row] = await query<Stored<Document>>({ name, text, values: [id] });
    return row;
  }

  return {
    /** The session with `payment` added. */
    withPayment: (id: string) => one<string>('find-payment', findWithPayment, id),

    /** Whether a session is paid, how much, and its last event; null where nothing came from Stripe. */
    payment: (id: string) => one<string | null>('payment', findPayment, id),

    /** The raw Stripe object of a session's newest state, null where there is none. */
    stripeData: (id: string) => one<string | null>('stripe-data', findStripeData, id),

    /** The account that owns a session, as far as it is known. */
    async accountOf(id: string): Promise<string | undefined> {
      const text = 'SELECT djstripe_owner_account AS account FROM checkout_session WHERE id = $1';
      const [row] = await query<{ account: string | null }>({ name: 'account', text, values: [id] });
      return row?.account ?? undefined;
    },
  };
}

/** What a comparison with Stripe reads of a session. */
export interface StoredState {
  readonly id: string;
  readonly is_deleted: boolean;
  /** The published columns as JSON; empty where the session was deleted. */
  readonly document: string;
  readonly status: string | null;
  readonly payment_status: string | null;
}

/** Reads the sessions of some ids, and the tombstones among them. */
export function storedStates({ query }: Database, ids: readonly string[]): Promise<StoredState[]> {
  const text = `SELECT id, version = 0 AS is_deleted, document, status, payment_status
    FROM checkout_session WHERE id = ANY($1::text[])`;
  return query<StoredState>({ text, values: [ids] });
}
