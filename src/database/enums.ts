import type { Enumeration, EnumName } from '../model/enums.js';
import type { Database } from './database.js';

/** Reads the enum tables. */
export function enumStore({ prisma }: Pick<Database, 'prisma'>) {
  const orderBy = { value: 'asc' } as const;
  const select = { value: true, label: true } as const;
  const tables = {
    billing_address_collection: () => prisma.stripe_session_billing_address_collection.findMany({ select, orderBy }),
    mode: () => prisma.stripe_session_mode.findMany({ select, orderBy }),
    submit_type: () => prisma.stripe_submit_type_status.findMany({ select, orderBy }),
  } satisfies Record<EnumName, unknown>;

  return {
    async find(name: EnumName): Promise<Enumeration> {
      return { name, values: await tables[name]() };
    },
  };
}
