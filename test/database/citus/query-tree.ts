import type { Database } from '../../../src/database/engine/database.js';

/**
 * Gets PostgreSQL's own analysed tree of a statement, in which every function and operator has its OID. A SQL function
 * with a BEGIN ATOMIC body stores these trees in its pg_proc row.
 */

export type Value = string | Node | readonly Value[];

/** A node of PostgreSQL's tree, such as FUNCEXPR, with its fields. */
export interface Node {
  readonly tag: string;
  readonly fields: ReadonlyMap<string, Value>;
}

/** Matches one token: a quoted word, a bracket, or a word. A backslash escapes the next character. */
const part = /"(?:[^"\\]|\\.)*"|[(){}]|(?:[^\s(){}"\\]|\\.)+/gs;

/** Parses the text of a `pg_node_tree`. */
export function parseTree(text: string): Value {
  const parts = text.match(part) ?? [];
  let place = 0;

  function value(): Value {
    const word = parts[place++] as string;
    if (word === '{') return node();
    if (word !== '(') return word.replace(/^"|"$/g, '');
    const list: Value[] = [];
    while (parts[place] !== ')') list.push(value());
    place += 1;
    return list;
  }

  function node(): Node {
    const tag = parts[place++] as string;
    const fields = new Map<string, Value>();
    while (parts[place] !== '}') {
      const name = (parts[place++] as string).slice(1);
      const values: Value[] = [];
      // A constant's bytes follow its length.
      while (!/^(:|\}$)/.test(parts[place] as string)) values.push(value());
      fields.set(name, values.length === 1 ? (values[0] as Value) : values);
    }
    place += 1;
    return { tag, fields };
  }

  return value();
}

/** Returns a node and its descendants. `enters` decides for each node whether to visit its children. */
export function nodesIn(value: Value | undefined, enters: (node: Node) => boolean = () => true): Node[] {
  if (value === undefined || typeof value === 'string') return [];
  if (!isNode(value)) return value.flatMap((one) => nodesIn(one, enters));
  return [value, ...(enters(value) ? nodesIn([...value.fields.values()], enters) : [])];
}

const isNode = (value: Node | readonly Value[]): value is Node => 'tag' in value;

/** Returns the trees of a statement, with the parameter types PostgreSQL infers. Leaves nothing in the database. */
export async function treeOf(database: Database, text: string): Promise<Value> {
  const undo = new Error('undo');
  let tree = '';
  await database
    .transaction(async (query) => {
      const ask = <Row>(sql: string) => query<Row>({ text: sql, values: [] });
      await ask(`PREPARE citus_rules AS ${text}`);
      const [prepared] = await ask<{ types: string }>(
        `SELECT array_to_string(parameter_types, ', ') AS types FROM pg_prepared_statements WHERE name = 'citus_rules'`,
      );
      await ask('DEALLOCATE citus_rules');
      await ask(`CREATE FUNCTION citus_rules(${prepared?.types}) RETURNS void LANGUAGE sql BEGIN ATOMIC ${text}; END`);
      const [body] = await ask<{ tree: string }>(
        `SELECT prosqlbody::text AS tree FROM pg_proc WHERE proname = 'citus_rules'`,
      );
      tree = body?.tree ?? '';
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  return parseTree(tree);
}
