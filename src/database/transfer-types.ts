import { stripeTypes } from './mirror.js';

/** The columns of whole rows, as an export writes them and an import reads them. */

/** What a session has beside its published columns, and of which type. `document` follows from the published ones. */
export const privateTypes = { version: 'integer', ...stripeTypes } as const;

/** The columns of the other tables that are moved with the sessions. */
export const ledgerTypes = {
  session_id: 'text',
  id: 'text',
  type: 'text',
  account: 'text',
  livemode: 'boolean',
  api_version: 'text',
  created: 'timestamptz',
  received_at: 'timestamptz',
  outcome: 'text',
} as const;
export const tombstoneTypes = { id: 'text', deleted_at: 'timestamptz' } as const;
export const progressTypes = { task: 'text', state: 'jsonb', updated_at: 'timestamptz' } as const;

export const sequence = 'checkout_session_djstripe_id_seq';

export const names = (types: object) => Object.keys(types).map((name) => `"${name}"`);
const definitions = (types: object) => Object.entries(types).map(([name, type]) => `"${name}" ${type}`);

/** Returns the SQL of the rows `r` in the JSON `$1`, with their position, and with one more column from a function. */
export function recordset(types: object, more?: string, name?: string): string {
  const functions = [`jsonb_to_recordset($1::jsonb) AS (${definitions(types).join(', ')})`, ...(more ? [more] : [])];
  return `ROWS FROM (${functions.join(', ')}) WITH ORDINALITY
    AS r (${[...names(types), ...(name ? [name] : []), 'position'].join(', ')})`;
}
