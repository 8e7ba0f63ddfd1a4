import { type ColumnTypes, columnDefinitions, quotedNames } from '../database/columns.js';

/** Returns SQL of the rows `r` in the JSON array `$1`, with their position. `more` adds a function's column with a name. */
export function recordset(types: ColumnTypes, more?: string, name?: string): string {
  const functions = [`jsonb_to_recordset($1::jsonb) AS (${columnDefinitions(types)})`, ...(more ? [more] : [])];
  return `ROWS FROM (${functions.join(', ')}) WITH ORDINALITY
    AS r (${[...quotedNames(types), ...(name ? [name] : []), 'position'].join(', ')})`;
}
