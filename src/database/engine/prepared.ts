import pg from 'pg';
import { serialize } from 'pg-protocol';
import type { Statement } from './database.js';
import { isStalePlan } from './sqlstate.js';

/** A statement with a name. Its values are texts, numbers, booleans, lists of texts, and null. */
export type NamedStatement = Statement & { readonly name: string };

/** A value as PostgreSQL reads it. See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO. */
function parameter(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'object' && !Array.isArray(value)) throw new TypeError('a named statement takes no objects');
  if (!Array.isArray(value)) return String(value);
  return `{${value.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/**
 * Statements that a connection keeps, each with a plan in the server's memory: more than the service has of its own, and
 * the lists that it keeps. Beyond it the least recently used one is closed.
 */
const maxPrepared = 128;

/**
 * The statements of a connection, in the order of their last use, and what their rows are made of: undefined where the
 * next run prepares it again.
 */
type Known = Map<string, readonly Column[] | undefined>;

const prepared = new WeakMap<pg.Connection, Known>();

function preparedOn(connection: pg.Connection): Known {
  let known = prepared.get(connection);
  if (!known) {
    known = new Map();
    prepared.set(connection, known);
  }
  return known;
}

/** One that failed when it was first used is there or not: to close what is not there is no error. */
function preparing(name: string, text: string): Buffer[] {
  const statement = { type: 'S', name } as const;
  return [serialize.close(statement), serialize.parse({ name, text }), serialize.describe(statement)];
}

/** Forgets the statement that was not used the longest where there is no room for another one, and closes it. */
function makingRoom(known: Known): Buffer[] {
  const [oldest] = known.keys();
  if (known.size < maxPrepared || oldest === undefined) return [];
  known.delete(oldest);
  return [serialize.close({ type: 'S', name: oldest })];
}

const executeAndSync = Buffer.concat([serialize.execute(), serialize.sync()]);

/**
 * A statement that is prepared, and described, the first time that a connection runs it; after that, one write of its
 * values. pg's own asks for the description of the rows each time and writes four messages, which takes this process
 * twice as long, and the server a little.
 *
 * See https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY.
 */
export class PreparedStatement<Row> implements pg.Submittable {
  readonly #statement: NamedStatement;
  readonly #bind: Buffer;
  readonly #resolve: (rows: Row[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #rows: Row[] = [];
  #columns: readonly Column[] | undefined;

  constructor(statement: NamedStatement, resolve: (rows: Row[]) => void, reject: (error: Error) => void) {
    this.#statement = statement;
    // Here, where what cannot be sent fails its caller alone: within pg's client it would leave the connection in use.
    this.#bind = serialize.bind({ statement: statement.name, values: statement.values.map(parameter) });
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    const { name, text } = this.#statement;
    const known = preparedOn(connection);
    this.#columns = known.get(name);
    const messages = this.#columns ? [] : [...makingRoom(known), ...preparing(name, text)];
    if (connection.stream.writable) connection.stream.write(Buffer.concat([...messages, this.#bind, executeAndSync]));
  }

  // What follows is called by pg's client, as its messages arrive.

  handleRowDescription({ fields }: { fields: pg.FieldDef[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, parse: pg.types.getTypeParser(dataTypeID, 'text') }));
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    const columns = this.#columns as readonly Column[];
    const row: Record<string, unknown> = {};
    for (let index = 0; index < fields.length; index += 1) {
      const { name, parse } = columns[index] as Column;
      const text = fields[index] as string | null;
      row[name] = text === null ? null : parse(text);
    }
    this.#rows.push(row as Row);
  }

  handleCommandComplete(_message: unknown, connection: pg.Connection): void {
    const known = preparedOn(connection);
    known.delete(this.#statement.name);
    // Without a description it has no rows.
    known.set(this.#statement.name, this.#columns ?? []);
  }

  handleError(error: Error, connection: pg.Connection): void {
    const known = preparedOn(connection);
    const { name } = this.#statement;
    // After most errors the statement is still there. One that failed when it was first used may be.
    if (isStalePlan(error) || !known.has(name)) known.set(name, undefined);
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#rows);
  }
}

/** Runs a statement on a connection that is the caller's; resolves to its rows. */
export function runPrepared<Row>(client: pg.PoolClient, statement: NamedStatement): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    client.query(new PreparedStatement(statement, resolve, reject));
  });
}
