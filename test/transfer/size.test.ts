import { expect, test } from 'vitest';
import { processDatabase } from '../support/database.js';
import { runCommandLine as run } from '../support/process.js';
import { rawSession } from '../support/stripe.js';
import { ndjson, temporaryFile, totalsOf } from './support.js';

const size = 5000;
const { environment, use } = await processDatabase();

function row(number: number): object {
  return {
    ...{ djstripe_id: number, billing_address_collection: 'auto', mode: 'payment', submit_type: 'pay' },
    ...{ djstripe_created: '2026-01-01T00:00:00.123456Z', djstripe_updated: '2026-01-02T00:00:00.654321Z' },
    ...{
      id: `cs_test_size_${number}`,
      livemode: false,
      created: '2026-01-01T00:00:00Z',
      metadata: { order: `${number}` },
    },
    ...{ payment_method_types: { '0': 'card' }, success_url: 'https://example.com/success', customer: `cus_${number}` },
  };
}

async function timed(name: string, path: string): Promise<Record<string, number>> {
  const began = performance.now();
  const totals = totalsOf(await run('import', [path], environment));
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${name}: ${size} in ${seconds.toFixed(1)} s, ${Math.round(size / seconds)} a second\n`);
  return totals;
}

const many = (make: (number: number) => object) => ndjson(Array.from({ length: size }, (_, index) => make(index + 1)));

test(`import applies all of ${size} rows`, async () => {
  const path = await temporaryFile('rows.ndjson', many(row));
  expect(await timed('rows', path)).toMatchObject({ read: size, applied: size, bad: 0 });
});

test(`import applies all of ${size} raw objects`, async () => {
  const path = await temporaryFile(
    'objects.ndjson',
    many((number) => rawSession({ id: `cs_test_raw_${number}`, created: 1_700_000_000 + number })),
  );
  expect(await timed('objects', path)).toMatchObject({ read: size, applied: size, bad: 0 });
  const [counted] = await use((database) =>
    database.query<{ sessions: number; numbers: number }>({
      text: `SELECT count(*)::integer AS sessions, count(DISTINCT djstripe_id)::integer AS numbers FROM checkout_session`,
      values: [],
    }),
  );
  expect(counted).toEqual({ sessions: 2 * size, numbers: 2 * size });
});
