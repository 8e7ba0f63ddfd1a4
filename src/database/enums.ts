import type { Enumeration, EnumName } from '../model/enums.js';
import type { Database } from './engine/database.js';

const tables: Readonly<Record<EnumName, string>> = {
  billing_address_collection: 'stripe_session_billing_address_collection',
  mode: 'stripe_session_mode',
  submit_type: 'stripe_submit_type_status',
};

/** Reads the enum tables. */
export function enumStore({ query }: Pick<Database, 'query'>) {
  return {
    /** Returns an enumeration with the values and labels of its table. */
    async find(name: EnumName): Promise<Enumeration> {
      const text = `SELECT value, label FROM ${tables[name]} ORDER BY value COLLATE "C"`;
      return { name, values: await query<Enumeration['values'][number]>({ text, values: [] }) };
    },
  };
}
