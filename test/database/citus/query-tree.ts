import type { Database } from '../../../src/database/engine/database.js';

/**
 * The analysed tree of a statement, as PostgreSQL itself makes it: every function and operator is named by its OID. A SQL
 * function with a body of BEGIN ATOMIC keeps the trees of its statements in its row of pg_proc.
 */

export type Value = string | Node | readonly Value[];

/** A node of PostgreSQL's, such as FUNCEXPR, with its fields. */
export interface Node {
  readonly tag: string;
  readonly fields: ReadonlyMap<string, Value>;
}

/** The parts of the text: quoted words, brackets, and words, in which a backslash escapes the next character. */
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
      // A constant has its bytes after its length.
      while (!/^(:|\}$)/.test(parts[place] as string)) values.push(value());
      fields.set(name, values.length === 1 ? (values[0] as Value) : values);
    }
    place += 1;
    return { tag, fields };
  }

  return value();
}

/** Returns the nodes in a value, itself the first, whose parents `enters` lets in. */
export function nodesIn(value: Value | undefined, enters: (node: Node) => boolean = () => true): Node[] {
  if (value === undefined || typeof value === 'string') return [];
  if (!isNode(value)) return value.flatMap((one) => nodesIn(one, enters));
  return [value, ...(enters(value) ? nodesIn([...value.fields.values()], enters) : [])];
}

const isNode = (value: Node | readonly Value[]): value is Node => 'tag' in value;

/**
 * Returns the trees of a statement, with the types of its parameters as PostgreSQL takes them. Nothing is left of it in the
 * database.
 */
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
