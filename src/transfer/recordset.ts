import { type ColumnTypes, columnDefinitions, quotedNames } from '../database/columns.js';

/** Returns the SQL of the rows `r` in the JSON `$1`, with their position, and with one more column from a function. */
export function recordset(types: ColumnTypes, more?: string, name?: string): string {
  const functions = [`jsonb_to_recordset($1::jsonb) AS (${columnDefinitions(types)})`, ...(more ? [more] : [])];
  return `ROWS FROM (${functions.join(', ')}) WITH ORDINALITY
    AS r (${[...quotedNames(types), ...(name ? [name] : []), 'position'].join(', ')})`;
}
