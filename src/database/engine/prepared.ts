import pg from 'pg';
import { serialize } from 'pg-protocol';
import type { Statement } from './database.js';
import { isStalePlan } from './sqlstate.js';

/** A statement with a name. Its values are strings, numbers, booleans, arrays of strings, or null. */
export type NamedStatement = Statement & { readonly name: string };

/**
 * Returns a parameter in PostgreSQL's text format. See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO.
 *
 * @throws TypeError for an object: its caller must pass it as JSON text.
 */
function encodeParameter(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'object' && !Array.isArray(value)) {
    throw new TypeError('a value of a named statement must not be an object');
  }
  if (!Array.isArray(value)) return String(value);
  return `{${value.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

interface ResultColumn {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/**
 * Maximum number of prepared statements on a connection. Each has a plan in the server's memory. The limit exceeds the
 * service's fixed statements plus the frequent lists. Above it the least recently used statement is closed.
 */
const maxPrepared = 128;

/**
 * The prepared statements of a connection by name, with the columns of their rows. The least recently used one comes first.
 * A statement without columns is prepared again on its next run.
 */
type PreparedStatements = Map<string, readonly ResultColumn[] | undefined>;

const preparedByConnection = new WeakMap<pg.Connection, PreparedStatements>();

function preparedOn(connection: pg.Connection): PreparedStatements {
  let prepared = preparedByConnection.get(connection);
  if (!prepared) {
    prepared = new Map();
    preparedByConnection.set(connection, prepared);
  }
  return prepared;
}

/**
 * Returns the messages that prepare a statement. The server may still have a statement whose first run failed. Closing it
 * frees the name, and PostgreSQL accepts a Close for a name that it does not know.
 */
function prepareMessages(name: string, text: string): Buffer[] {
  const statement = { type: 'S', name } as const;
  return [serialize.close(statement), serialize.parse({ name, text }), serialize.describe(statement)];
}

/** Evicts the least recently used statement if the connection is full. Returns the message that closes it. */
function evictMessages(prepared: PreparedStatements): Buffer[] {
  const [oldest] = prepared.keys();
  if (prepared.size < maxPrepared || oldest === undefined) return [];
  prepared.delete(oldest);
  return [serialize.close({ type: 'S', name: oldest })];
}

const executeAndSync = Buffer.concat([serialize.execute(), serialize.sync()]);

/**
 * One run of a named statement. The connection prepares and describes the statement on its first run. Each later run sends the
 * values in one write. pg's own query asks for the row description on every run, and writes its four messages one by one. It
 * costs this process twice the time, and the server slightly more.
 *
 * See https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY.
 */
export class PreparedRun<Row> implements pg.Submittable {
  readonly #statement: NamedStatement;
  readonly #bind: Buffer;
  readonly #resolve: (rows: Row[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #rows: Row[] = [];
  #columns: readonly ResultColumn[] | undefined;

  constructor(statement: NamedStatement, resolve: (rows: Row[]) => void, reject: (error: Error) => void) {
    this.#statement = statement;
    // An unencodable value must throw here, to the caller. Inside pg's client it would leave the connection busy forever.
    this.#bind = serialize.bind({ statement: statement.name, values: statement.values.map(encodeParameter) });
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: pg.Connection): void {
    const { name, text } = this.#statement;
    const prepared = preparedOn(connection);
    this.#columns = prepared.get(name);
    const messages = this.#columns ? [] : [...evictMessages(prepared), ...prepareMessages(name, text)];
    if (connection.stream.writable) connection.stream.write(Buffer.concat([...messages, this.#bind, executeAndSync]));
  }

  // pg's client calls the handlers below as the server's messages arrive.

  handleRowDescription({ fields }: { fields: pg.FieldDef[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, parse: pg.types.getTypeParser(dataTypeID, 'text') }));
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    const columns = this.#columns as readonly ResultColumn[];
    const row: Record<string, unknown> = {};
    for (let index = 0; index < fields.length; index += 1) {
      const { name, parse } = columns[index] as ResultColumn;
      const text = fields[index] as string | null;
      row[name] = text === null ? null : parse(text);
    }
    this.#rows.push(row as Row);
  }

  handleCommandComplete(_message: unknown, connection: pg.Connection): void {
    const prepared = preparedOn(connection);
    // Deleting the key first moves it to the end, as the most recently used.
    prepared.delete(this.#statement.name);
    // The server sends no row description for a statement that returns no rows.
    prepared.set(this.#statement.name, this.#columns ?? []);
  }

  handleError(error: Error, connection: pg.Connection): void {
    const prepared = preparedOn(connection);
    const { name } = this.#statement;
    // Most errors leave the statement prepared. A stale plan, or an error on the first run, needs a new preparation.
    if (isStalePlan(error) || !prepared.has(name)) prepared.set(name, undefined);
    this.#reject(error);
  }

  // The server sends this message after an error too, but pg's client then skips the handler.
  handleReadyForQuery(): void {
    this.#resolve(this.#rows);
  }
}

/** Runs a statement on the caller's connection. Resolves to its rows. */
export function runPrepared<Row>(client: pg.PoolClient, statement: NamedStatement): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    client.query(new PreparedRun(statement, resolve, reject));
  });
}
