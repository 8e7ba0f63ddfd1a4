import { Problem } from '../errors.js';
import { isNotModified, type Precondition } from '../model/etag.js';
import { columns, type SessionWrite } from '../model/session.js';
import type { Change } from '../model/session-request.js';
import { type BatchObserver, batching, decided, type LockLimit, writeBatch } from './batch.js';
import { type Database, withLockTimeout } from './database.js';
import { retrying } from './failures.js';
import { type ListTable, listReader } from './list.js';
import { paymentSql } from './payment.js';
import { createSessions, etagOf, patchSessions, removeSession, replaceSessions } from './session-writes.js';

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
  `SELECT ${document} AS document, ${etagOf('s')} AS etag FROM checkout_session AS s WHERE s.id = $1`;
const findAlone = oneOf('s.document');
// Not ANY($1): PostgreSQL takes a plan for the ids at hand for cheaper than the one it keeps, and plans each time.
const find = `SELECT s.id, s.document, ${etagOf('s')} AS etag
  FROM jsonb_array_elements_text($1::jsonb) AS r (id) JOIN checkout_session AS s ON s.id = r.id`;
const findWithPayment = oneOf(documentWithPayment);
// What Stripe knows of a session; null where nothing came from Stripe.
const findPayment = oneOf(paymentSql);
const findStripeData = oneOf('s.stripe_data::text');

/** How the list reads: from which table, and what it passes through. */
export const sessionTable: ListTable = {
  name: 'checkout_session',
  nullable: ['created'],
  kinds: Object.fromEntries(columns.map(({ name, kind }) => [name, kind])),
  document: (include) => (include === 'payment' ? documentWithPayment : 's.document'),
};

/** The tags of a precondition as the statements take them; If-Match: * asks for no tag, only for a row. */
function tagsOf({ match, noneMatch }: Precondition) {
  return { match: listed(match), noneMatch: listed(noneMatch) };
}

function listed(tags: readonly string[] | '*' | undefined): readonly string[] | null {
  return tags === '*' || tags === undefined ? null : tags;
}

/** Whether a row that exists satisfies If-None-Match at all. */
const refusesAnyRow = ({ noneMatch }: Precondition) => noneMatch === '*';

// A read takes the database less time than its answer takes this process and the client.
const readBatch = { parts: 3, smallest: 16, maxSize: 500, most: 4 } as const;

export type SessionStore = ReturnType<typeof sessionStore>;

/** Reads and writes of the sessions. Each write is committed when its promise resolves, or changes nothing. */
export function sessionStore(database: Database, onBatch?: BatchObserver) {
  const observed = (kind: string) => onBatch && ((size: number) => onBatch(kind, size));

  const findOne = batching<string, StoredSession | undefined>({
    ...readBatch,
    onBatch: observed('read'),
    async run(ids, limit) {
      // What takes many at once costs one by itself a twentieth of its time.
      if (ids.length === 1) return [await one('find-alone', findAlone, ids[0] as string, limit)];
      const rows = await database.query<StoredSession & { id: string }>({
        name: 'find',
        text: find,
        values: [JSON.stringify(ids)],
        ...limit,
      });
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id));
    },
  });
  const create = writing('create', createSessions, ({ id }) => id);
  const replace = writing('replace', replaceSessions, ({ write }) => write.id);
  const patch = writing('patch', patchSessions, ({ id }) => id);

  /** Gathers the writes of a kind. */
  function writing<Input, Result>(
    kind: string,
    run: (query: Database['query'], inputs: readonly Input[]) => Promise<readonly Result[]>,
    keyOf: (input: Input) => string,
  ) {
    return batching<Input, Result>({
      ...writeBatch,
      sendsFirst: true,
      onBatch: observed(kind),
      keyOf,
      run: (inputs, { lockTimeout }) => retrying(() => run(withLockTimeout(database, lockTimeout), inputs)),
    });
  }

  async function one<Document extends string | null = string>(
    name: string,
    text: string,
    id: string,
    limit: LockLimit = {},
  ) {
    const [row] = await database.query<Stored<Document>>({ name, text, values: [id], ...limit });
    return row;
  }

  /** The session where it satisfies a precondition. */
  async function findWhere(id: string, precondition: Precondition): Promise<StoredSession | undefined> {
    const stored = await findOne(id);
    const { match } = tagsOf(precondition);
    const isMatch = stored !== undefined && (match === null || match.includes(stored.etag));
    return isMatch && !isNotModified(precondition, stored.etag) ? stored : undefined;
  }

  /** Why a write found no session to change; undefined where it may find one now. */
  async function refusal(id: string, precondition: Precondition): Promise<Problem | undefined> {
    if (precondition.match !== undefined) return new Problem('precondition-failed');
    const stored = precondition.noneMatch === undefined ? undefined : await findOne(id);
    if (!stored) return new Problem('session-not-found');
    return isNotModified(precondition, stored.etag) ? new Problem('precondition-failed') : undefined;
  }

  /** Repeats a change until it is done, or refused by a session that is there. */
  function changed<Value>(id: string, precondition: Precondition, change: () => Promise<Value | undefined>) {
    return decided(async () => {
      const done = refusesAnyRow(precondition) ? undefined : await change();
      const problem = done === undefined ? await refusal(id, precondition) : undefined;
      if (problem) throw problem;
      return done;
    });
  }

  return {
    /** The session with an id, or undefined; with `payment` added when asked for. */
    find: (id: string, include?: 'payment') => (include ? one('find-payment', findWithPayment, id) : findOne(id)),

    /** Whether a session is paid, how much, and its last event; null where nothing came from Stripe. */
    payment: (id: string) => one<string | null>('payment', findPayment, id),

    /** The raw Stripe object of a session's newest state, null where there is none. */
    stripeData: (id: string) => one<string | null>('stripe-data', findStripeData, id),

    /** The account that owns a session, as far as it is known. */
    async accountOf(id: string): Promise<string | undefined> {
      const text = 'SELECT djstripe_owner_account AS account FROM checkout_session WHERE id = $1';
      const [row] = await database.query<{ account: string | null }>({ name: 'account', text, values: [id] });
      return row?.account ?? undefined;
    },

    /** Stores a new session; undefined when its id exists. */
    create,

    /**
     * Stores a session in the place of what its id has, or anew.
     *
     * @throws `precondition-failed`
     */
    replace(session: SessionWrite, precondition: Precondition): Promise<StoredSession & { created: boolean }> {
      return decided(async () => {
        const input = { write: session, ...tagsOf(precondition) };
        const replaced = refusesAnyRow(precondition) ? undefined : await replace(input);
        if (replaced) return { ...replaced, created: false };
        if (precondition.match !== undefined) throw new Problem('precondition-failed');
        const created = await create(session);
        if (created) return { ...created, created: true };
        if (refusesAnyRow(precondition)) throw new Problem('precondition-failed');
        // There is one: refused by its tag, or it came since.
        const stored = precondition.noneMatch === undefined ? undefined : await findOne(session.id);
        if (stored && isNotModified(precondition, stored.etag)) throw new Problem('precondition-failed');
        return undefined;
      });
    },

    /**
     * Applies a merge patch. Maps are merged where they are stored, so that concurrent patches of different
     * fields, keys of metadata included, both survive.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    patch(id: string, changes: readonly Change[], precondition: Precondition): Promise<StoredSession> {
      // An empty patch changes nothing, and neither the version.
      if (changes.length === 0) return changed(id, precondition, () => findWhere(id, precondition));
      return changed(id, precondition, () => patch({ id, changes, ...tagsOf(precondition) }));
    },

    /**
     * Deletes a session and leaves its tombstone.
     *
     * @throws `session-not-found`, `precondition-failed`
     */
    async remove(id: string, precondition: Precondition): Promise<void> {
      const { match, noneMatch } = tagsOf(precondition);
      await changed(
        id,
        precondition,
        async () => (await retrying(() => removeSession(database.query, id, match, noneMatch))) || undefined,
      );
    },

    /** A page of the sessions that a query asks for. */
    list: listReader(database, sessionTable, onBatch),
  };
}
