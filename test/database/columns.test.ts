import { expect, test } from 'vitest';
import {
  allSessionTypes,
  generatedTypes,
  ledgerTypes,
  progressTypes,
  tombstoneValues,
} from '../../src/database/columns.js';
import { testDatabase } from '../support/database.js';

const database = await testDatabase();

interface Found {
  name: string;
  type: string;
  generated: boolean;
}

const columnsOf = (table: string) =>
  database.query<Found>({
    text: `SELECT attname::text AS name, atttypid::regtype::text AS type, attgenerated <> '' AS generated
      FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
    values: [table],
  });

const inSql: Readonly<Record<string, string>> = { timestamptz: 'timestamp with time zone' };

test.each([
  ['checkout_session', allSessionTypes],
  ['stripe_event', ledgerTypes],
  ['stripe_progress', progressTypes],
])("the declared columns of %s equal the database's, with their types", async (table, types) => {
  const found = await columnsOf(table);
  const declared = Object.entries(types).map(([name, type]) => [name, inSql[type] ?? type]);
  expect(Object.fromEntries(found.map(({ name, type }) => [name, type]))).toEqual(Object.fromEntries(declared));
});

test('the declared generated columns are those PostgreSQL generates', async () => {
  const found = await columnsOf('checkout_session');
  const generated = found.filter((column) => column.generated).map(({ name }) => name);
  expect(generated.sort()).toEqual(Object.keys(generatedTypes).sort());
});

test('tombstoneValues covers every column except id, deleted_at and the generated ones', () => {
  const own = ['id', 'deleted_at', ...Object.keys(generatedTypes)];
  const names = [...tombstoneValues.map(([name]) => name), ...own];
  expect(names.sort()).toEqual(Object.keys(allSessionTypes).sort());
});
