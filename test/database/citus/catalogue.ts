import type { Database } from '../../../src/database/engine/database.js';
import type { Node } from './query-tree.js';

/** The part of PostgreSQL's catalogue that the rules use. */
export interface Catalogue {
  /** The OIDs of the distributed tables. */
  readonly distributed: ReadonlySet<string>;
  /** The volatility (`i`, `s` or `v`) of each function, by OID. */
  readonly volatility: ReadonlyMap<string, string>;
  /** The functions that convert each type to and from text, by the OID of the type. */
  readonly conversions: ReadonlyMap<string, { readonly output: string; readonly input: string }>;
}

export async function readCatalogue(database: Database, tables: readonly string[]): Promise<Catalogue> {
  const read = <Row>(text: string, values: unknown[] = []) => database.query<Row>({ text, values });
  const relations = await read<{ oid: string }>(
    'SELECT name::regclass::oid::bigint::text AS oid FROM unnest($1::text[]) AS t (name)',
    [tables],
  );
  const functions = await read<{ oid: string; volatility: string }>(
    'SELECT oid::bigint::text AS oid, provolatile::text AS volatility FROM pg_proc',
  );
  const types = await read<{ oid: string; output: string; input: string }>(
    `SELECT oid::bigint::text AS oid, typoutput::oid::bigint::text AS output, typinput::oid::bigint::text AS input
      FROM pg_type`,
  );
  return {
    distributed: new Set(relations.map(({ oid }) => oid)),
    volatility: new Map(functions.map(({ oid, volatility }) => [oid, volatility])),
    conversions: new Map(types.map(({ oid, ...conversion }) => [oid, conversion])),
  };
}

const functionFields = ['funcid', 'opfuncid', 'aggfnoid', 'winfnoid'];
const typeFields = /^(const|var|param|funcresult|opresult|result|case|coalesce|minmax|agg)type$/;

/** Returns the highest volatility among the functions a node calls itself: `v`, `s` or `i`. */
export function volatilityIn({ volatility, conversions }: Catalogue, node: Node): string {
  if (node.tag === 'SQLVALUEFUNCTION') return 's';
  if (node.tag === 'NEXTVALUEEXPR') return 'v';
  const called = functionFields.map((name) => String(node.fields.get(name)));
  if (node.tag === 'COERCEVIAIO') {
    called.push(String(conversions.get(typeOf(node.fields.get('arg') as Node))?.output));
    called.push(String(conversions.get(String(node.fields.get('resulttype')))?.input));
  }
  const found = called.map((oid) => volatility.get(oid));
  return ['v', 's'].find((one) => found.includes(one)) ?? 'i';
}

/** Returns the OID of a node's type, or of text when the node has none. */
function typeOf(node: Node): string {
  const name = [...node.fields.keys()].find((key) => typeFields.test(key));
  return name ? String(node.fields.get(name)) : '25';
}
