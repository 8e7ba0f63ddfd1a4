import { OperatorError } from '../../errors.js';
import { changeSequence, djstripeIdSequence } from '../columns.js';
import { Prisma } from '../generated/client.js';
import type { Database } from './database.js';

/** Asks for the rights of a database role before the first statement fails for want of one. */

type Query = Database['query'];
type Table = keyof typeof Prisma.ModelName;

const migrationsTable = '_prisma_migrations';
const enumTables: readonly Table[] = [
  'stripe_session_billing_address_collection',
  'stripe_session_mode',
  'stripe_submit_type_status',
];
const tables = Object.values(Prisma.ModelName);
const writtenTables = tables.filter((name) => !enumTables.includes(name));

/** The rights that requests need, as pairs of table and right. */
const needed = [
  ...[migrationsTable, ...enumTables].map((table) => [table, 'SELECT'] as const),
  ...writtenTables.flatMap((table) => ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => [table, right] as const)),
];

interface Place {
  /** Both as SQL writes them. */
  role: string;
  schema: string;
  /** Whether the role may use the schema. */
  isUsable: boolean;
  mayCreate: boolean;
  /** Owners of the tables that the role is no member of. */
  owners: string | null;
}

const placeSql = `SELECT quote_ident(current_user) AS role, quote_ident(coalesce(current_schema(), 'public')) AS schema,
    current_schema() IS NOT NULL AS "isUsable",
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS "mayCreate",
    (SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(c.relowner)), ', ') FROM pg_class AS c
      WHERE c.oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS r (name)) AND NOT pg_has_role(c.relowner, 'USAGE')
    ) AS owners`;

async function placeOf(query: Query): Promise<Place> {
  const [place] = await query<Place>({ text: placeSql, values: [[migrationsTable, ...tables]] });
  return place as Place;
}

// What does not exist yet has a null for its privilege.
const lackingSql = `SELECT r.name, r.privilege FROM unnest($1::text[], $2::text[]) AS r (name, privilege)
    WHERE NOT has_table_privilege(to_regclass(r.name), r.privilege)
  UNION ALL SELECT 'SEQUENCE ' || string_agg(r.name, ', '), 'USAGE'
    FROM unnest(ARRAY['${djstripeIdSequence}', '${changeSequence}']) AS r (name)
    WHERE NOT has_sequence_privilege(to_regclass(r.name), 'USAGE') HAVING count(*) > 0`;

/**
 * Checks that a role may do what requests do, on the tables that there are.
 *
 * @throws what names the statement that grants the missing rights.
 */
export async function assertMayRun(query: Query): Promise<void> {
  const { role, schema, isUsable } = await placeOf(query);
  if (!isUsable) {
    throw new OperatorError(
      `The database role ${role} may not use the schema ${schema}: GRANT USAGE ON SCHEMA ${schema} TO ${role}; migrations also need CREATE.`,
    );
  }
  const values = [needed.map(([table]) => table), needed.map(([, right]) => right)];
  const lacking = await query<{ name: string; privilege: string }>({ text: lackingSql, values });
  if (lacking.length === 0) return;
  const rightsByName = new Map<string, string[]>();
  for (const { name, privilege } of lacking) rightsByName.set(name, [...(rightsByName.get(name) ?? []), privilege]);
  const namesByRights = new Map<string, string[]>();
  for (const [name, rights] of rightsByName) {
    const key = rights.join(', ');
    namesByRights.set(key, [...(namesByRights.get(key) ?? []), name]);
  }
  const grants = [...namesByRights].map(([rights, names]) => `GRANT ${rights} ON ${names.join(', ')} TO ${role};`);
  throw new OperatorError(`The database role ${role} lacks rights: ${grants.join(' ')}`);
}

/**
 * Checks that a role may migrate: create in the schema, and change the tables that there are.
 *
 * @throws what names the statement that grants the missing rights.
 */
export async function assertMayMigrate(query: Query): Promise<void> {
  const { role, schema, mayCreate, owners } = await placeOf(query);
  if (!mayCreate) {
    throw new OperatorError(
      `The database role ${role} may not create in the schema ${schema}, as migrations do: GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role};`,
    );
  }
  if (owners !== null) {
    throw new OperatorError(
      `The database role ${role} does not own the tables, which migrations change: migrate as their owner, or GRANT ${owners} TO ${role};`,
    );
  }
}
