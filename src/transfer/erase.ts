import type { Database } from '../database/engine/database.js';
import { retrying } from '../database/engine/sqlstate.js';
import { toTombstone } from '../database/sessions/remove.js';

/** Erases a person's data: the sessions. The database stores nothing else about a person. */

/** A person, by the Stripe customer or account id, or by an email address in upper or lower case. */
export interface Person {
  readonly customer?: string | undefined;
  readonly email?: string | undefined;
}

export interface ErasedPage {
  /** Number of sessions that were examined. */
  readonly read: number;
  /** Ids of the sessions that were erased, or in a dry run would be. */
  readonly ids: readonly string[];
}

/** Sessions that a statement examines: each has a raw object of several kilobytes. */
const pageSize = 500;

/** SQL condition: an object in the raw session names the customer. `customer_account` is the field of Accounts v2. */
const hasCustomer = `jsonb_path_exists(s.stripe_data, '$.** ? (@.customer == $customer || @.customer.id == $customer
  || @.customer_account == $customer || @.customer_account.id == $customer)', jsonb_build_object('customer', $1::text))`;

/**
 * Returns the SQL condition that a text in a JSON value, at any depth, equals the address. The cheap substring search comes
 * first, because it rules out most rows.
 */
const hasAddress = (
  json: string,
) => `(strpos(lower(${json}::text), lower(substr(to_json($2::text)::text, 2, length(to_json($2::text)::text) - 2))) > 0
  AND EXISTS (
    SELECT FROM jsonb_path_query(${json}, '$.** ? (@.type() == "string")') AS leaf WHERE lower(leaf #>> '{}') = lower($2)
  ))`;

/**
 * SQL condition: a session belongs to the customer `$1` or the address `$2`. It searches the raw object too, because a
 * PATCH changes the columns only. A customer's id elsewhere, such as in the metadata or as the merchant's, does not make
 * the session theirs. An address is personal data wherever it is.
 */
const isOfPerson = `($1::text IS NOT NULL AND (s.customer = $1 OR ${hasCustomer})
  OR $2::text IS NOT NULL AND (lower($2) IN (lower(s.customer_email), lower(s.client_reference_id))
    OR ${hasAddress('s.stripe_data')} OR ${hasAddress('s.metadata')}))`;

const findSql = `SELECT count(*)::int AS read, max(s.id) AS last, array_agg(s.id) FILTER (WHERE ${isOfPerson}) AS ids
  FROM (SELECT * FROM checkout_session WHERE id > $3 AND version <> 0 ORDER BY id LIMIT $4::bigint) AS s`;

interface FoundPage {
  read: number;
  /** Null after the last page. */
  last: string | null;
  /** Null when no session matches. */
  ids: string[] | null;
}

/** Ordered by id, the lock order of every group. Skips sessions that no longer match this person. */
const eraseSql = `WITH input AS MATERIALIZED (SELECT unnest($3::text[]) COLLATE "C" AS id ORDER BY 1)
  UPDATE checkout_session AS s SET ${toTombstone} FROM input AS r
  WHERE s.id = r.id AND s.version <> 0 AND ${isOfPerson} RETURNING s.id`;

/**
 * Deletes a person's sessions page by page, and leaves tombstones, so that nothing from Stripe brings them back. Each page
 * is a transaction: an interrupted erasure resumes when it is started again. It may miss sessions that are written while it
 * runs.
 */
export async function* eraseSessions(
  database: Database,
  { customer, email }: Person,
  { dryRun }: { dryRun: boolean },
): AsyncGenerator<ErasedPage> {
  const person = [customer ?? null, email ?? null];
  let last: string | null = '';
  while (last !== null) {
    const values: unknown[] = [...person, last, pageSize];
    const [page] = (await database.query<FoundPage>({ text: findSql, values })) as [FoundPage];
    const found = page.ids ?? [];
    yield { read: page.read, ids: dryRun || found.length === 0 ? found : await erase(database, person, found) };
    last = page.last;
  }
}

/** Erases sessions, and returns the ids of those that still matched the person. */
async function erase(database: Database, person: readonly unknown[], ids: readonly string[]): Promise<string[]> {
  const values = [...person, ids];
  const rows = await retrying(() => database.query<{ id: string }>({ text: eraseSql, values }));
  const erased = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => erased.has(id));
}
