import { OperatorError } from '../../errors.js';
import { changeSequence, djstripeIdSequence } from '../columns.js';
import { Prisma } from '../generated/client.js';
import type { Database } from './database.js';

/** Checks the rights of the database role at the start, before a statement fails because one is missing. */

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

/** The rights that requests need, as pairs of a table and a privilege. */
const neededRights = [
  ...[migrationsTable, ...enumTables].map((table) => [table, 'SELECT'] as const),
  ...writtenTables.flatMap((table) => ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => [table, right] as const)),
];

interface RoleStatus {
  /** The role and the schema, quoted for SQL. */
  role: string;
  schema: string;
  /** Whether the role may use the schema. */
  isUsable: boolean;
  /** Whether the role may create tables in the schema. */
  mayCreate: boolean;
  /** Owners of existing tables whose rights the role lacks. */
  owners: string | null;
}

// current_schema() is null when the role may not use the schema. to_regclass is null for a table that does not exist yet.
const roleStatusSql = `SELECT quote_ident(current_user) AS role, quote_ident(coalesce(current_schema(), 'public')) AS schema,
    current_schema() IS NOT NULL AS "isUsable",
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS "mayCreate",
    (SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(c.relowner)), ', ') FROM pg_class AS c
      WHERE c.oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS r (name)) AND NOT pg_has_role(c.relowner, 'USAGE')
    ) AS owners`;

async function readRoleStatus(query: Query): Promise<RoleStatus> {
  const [status] = await query<RoleStatus>({ text: roleStatusSql, values: [[migrationsTable, ...tables]] });
  return status as RoleStatus;
}

// has_table_privilege is null for a table that does not exist yet. So the WHERE skips that table.
const missingRightsSql = `SELECT r.name, r.privilege FROM unnest($1::text[], $2::text[]) AS r (name, privilege)
    WHERE NOT has_table_privilege(to_regclass(r.name), r.privilege)
  UNION ALL SELECT 'SEQUENCE ' || string_agg(r.name, ', '), 'USAGE'
    FROM unnest(ARRAY['${djstripeIdSequence}', '${changeSequence}']) AS r (name)
    WHERE NOT has_sequence_privilege(to_regclass(r.name), 'USAGE') HAVING count(*) > 0`;

/**
 * Checks that the role has the rights that requests need on the existing tables.
 *
 * @throws OperatorError with the GRANT statements for the missing rights.
 */
export async function assertMayRun(query: Query): Promise<void> {
  const { role, schema, isUsable } = await readRoleStatus(query);
  if (!isUsable) {
    throw new OperatorError(
      `The database role ${role} may not use the schema ${schema}: GRANT USAGE ON SCHEMA ${schema} TO ${role}; migrations also need CREATE.`,
    );
  }
  const values = [neededRights.map(([table]) => table), neededRights.map(([, privilege]) => privilege)];
  const missing = await query<{ name: string; privilege: string }>({ text: missingRightsSql, values });
  if (missing.length === 0) return;
  const rightsByName = new Map<string, string[]>();
  for (const { name, privilege } of missing) rightsByName.set(name, [...(rightsByName.get(name) ?? []), privilege]);
  const namesByRights = new Map<string, string[]>();
  for (const [name, rights] of rightsByName) {
    const key = rights.join(', ');
    namesByRights.set(key, [...(namesByRights.get(key) ?? []), name]);
  }
  const grants = [...namesByRights].map(([rights, names]) => `GRANT ${rights} ON ${names.join(', ')} TO ${role};`);
  throw new OperatorError(`The database role ${role} lacks rights: ${grants.join(' ')}`);
}

/**
 * Checks that the role may migrate: it may create tables in the schema, and alter the existing tables as their owner.
 *
 * @throws OperatorError with the GRANT statement for the missing rights.
 */
export async function assertMayMigrate(query: Query): Promise<void> {
  const { role, schema, mayCreate, owners } = await readRoleStatus(query);
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
