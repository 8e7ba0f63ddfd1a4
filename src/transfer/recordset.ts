import { type ColumnTypes, declared, quoted } from '../database/columns.js';

/** Returns the SQL of the rows `r` in the JSON `$1`, with their position, and with one more column from a function. */
export function recordset(types: ColumnTypes, more?: string, name?: string): string {
  const functions = [`jsonb_to_recordset($1::jsonb) AS (${declared(types)})`, ...(more ? [more] : [])];
  return `ROWS FROM (${functions.join(', ')}) WITH ORDINALITY
    AS r (${[...quoted(types), ...(name ? [name] : []), 'position'].join(', ')})`;
}
