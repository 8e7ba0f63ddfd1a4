import type { Database } from '../database/engine/database.js';
import { retrying } from '../database/engine/sqlstate.js';
import { toTombstone } from '../database/sessions/remove.js';

/** Erases what is stored of a person: the sessions, by which alone this database knows them. */

/** Whose sessions: those with this customer or account of Stripe's, or with this address, in whatever case. */
export interface Person {
  readonly customer?: string | undefined;
  readonly email?: string | undefined;
}

export interface ErasedPage {
  /** Sessions that were looked at. */
  readonly read: number;
  /** Those that were erased; in a dry run those that would be. */
  readonly ids: readonly string[];
}

/** Sessions a statement looks at: each with its raw object, of several kilobytes. */
const pageSize = 500;

/** Stripe names a customer so in each object that it expands a session by; `customer_account` is that of Accounts v2. */
const hasCustomer = `jsonb_path_exists(s.stripe_data, '$.** ? (@.customer == $customer || @.customer.id == $customer
  || @.customer_account == $customer || @.customer_account.id == $customer)', jsonb_build_object('customer', $1::text))`;

/** Holds where any text in a JSON value, at any depth, is the address. Most rows do not even have its letters. */
const hasAddress = (
  json: string,
) => `(strpos(lower(${json}::text), lower(substr(to_json($2::text)::text, 2, length(to_json($2::text)::text) - 2))) > 0
  AND EXISTS (
    SELECT FROM jsonb_path_query(${json}, '$.** ? (@.type() == "string")') AS leaf WHERE lower(leaf #>> '{}') = lower($2)
  ))`;

/**
 * Holds where a session is of the person `$1`, `$2`. The raw object is looked into too: a PATCH changes the columns alone.
 * A customer's id elsewhere, in the metadata or of the merchant, is not whose session it is; an address is personal
 * wherever it stands.
 */
const isOfPerson = `($1::text IS NOT NULL AND (s.customer = $1 OR ${hasCustomer})
  OR $2::text IS NOT NULL AND (lower($2) IN (lower(s.customer_email), lower(s.client_reference_id))
    OR ${hasAddress('s.stripe_data')} OR ${hasAddress('s.metadata')}))`;

const findSql = `SELECT count(*)::int AS read, max(s.id) AS last, array_agg(s.id) FILTER (WHERE ${isOfPerson}) AS ids
  FROM (SELECT * FROM checkout_session WHERE id > $3 AND version <> 0 ORDER BY id LIMIT $4::bigint) AS s`;

interface FoundPage {
  read: number;
  /** Null after the last page, as `ids` is where none matches. */
  last: string | null;
  ids: string[] | null;
}

/** Ordered by id, the lock order of every group. Skips sessions that no longer match this person. */
const eraseSql = `WITH input AS MATERIALIZED (SELECT unnest($3::text[]) COLLATE "C" AS id ORDER BY 1)
  UPDATE checkout_session AS s SET ${toTombstone} FROM input AS r
  WHERE s.id = r.id AND s.version <> 0 AND ${isOfPerson} RETURNING s.id`;

/**
 * Deletes a person's sessions and leaves their tombstones, so that nothing from Stripe brings them back. A page at a
 * time, each committed by itself, so that an erasure that is interrupted is done by starting it again. What is written
 * meanwhile may be missed.
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

async function erase(database: Database, person: readonly unknown[], ids: readonly string[]): Promise<string[]> {
  const values = [...person, ids];
  const rows = await retrying(() => database.query<{ id: string }>({ text: eraseSql, values }));
  const erased = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => erased.has(id));
}
