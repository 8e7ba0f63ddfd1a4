import { describe, expect, test } from 'vitest';
import { tombstoneValues } from '../../src/database/columns.js';
import { groupedSql, keepFrequent } from '../../src/database/list/batch.js';
import { pageStatements } from '../../src/database/list/plan.js';
import { sessionTable } from '../../src/database/sessions/read.js';
import { type Cursor, cursorAt, encodeCursor } from '../../src/model/cursor.js';
import type { ListQuery } from '../../src/model/list.js';
import type { Session } from '../../src/model/session.js';
import { sessionList } from '../../src/model/session-list.js';
import { onPostgres, testDatabase } from '../support/database.js';

const database = await testDatabase();

// A wrong plan shows only at a size where it is slow. The embedded database checks the answers alone.
const total = onPostgres ? 100_000 : 2_000;
const batch = onPostgres ? 20_000 : 2_000;
const query = <Row>(text: string, values: unknown[] = []) => database.query<Row>({ text, values });

// Every fifth session belongs to cus_hot and every twentieth has no `created`. Each column has an order of its own,
// with a few ties in two of them.
for (let from = 1; from <= total; from += batch) {
  await query(
    `INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, payment_method_types, created,
       djstripe_created, djstripe_updated, metadata, client_reference_id, customer_email, customer, payment_intent,
       subscription, stripe_data)
     SELECT 'cs_test_' || md5(n::text), 'auto', 'payment', 'pay', '{"0": "card"}',
       CASE WHEN n % 20 > 0 THEN timestamptz '2024-01-01Z' + (n::bigint * 7919 % 100003 / 4) * interval '1 minute' END,
       timestamptz '2024-01-01Z' + (n::bigint * 104729 % 100003) * interval '1 second',
       timestamptz '2025-01-01Z' + (n::bigint * 15485863 % 100003 / 7) * interval '1 second',
       jsonb_build_object('order', n::text, 'shop', (n % 500)::text,
         'plan', CASE n % 2 WHEN 0 THEN 'basic' ELSE 'gold' END),
       'cart-' || n, 'buyer' || n % 30000 || '@example.com',
       CASE WHEN n % 5 = 0 THEN 'cus_hot' ELSE 'cus_' || n % 20000 END,
       CASE WHEN n % 3 > 0 THEN 'pi_' || n END, CASE WHEN n % 3 = 0 THEN 'sub_' || n % 9000 END,
       jsonb_build_object('customer_details', jsonb_build_object('email', CASE WHEN n % 7 = 0 THEN 'Kiosk@example.com'
         WHEN n % 3 = 0 THEN 'Guest' || n % 20000 || '@example.com' END), 'customer_account', 'acct_' || n % 20000,
         'payment_link', 'plink_' || n % 11, 'invoice', CASE WHEN n % 3 = 0 THEN 'in_' || n END)
     FROM generate_series($1::int, $2::int) AS n`,
    [from, from + batch - 1],
  );
}
// Tombstones are a third of the rows. No page may read them.
await query(
  `INSERT INTO checkout_session (id, deleted_at, ${tombstoneValues.map(([name]) => `"${name}"`).join(', ')})
   SELECT 'cs_test_' || md5(n::text), now(), ${tombstoneValues.map(([, value]) => value).join(', ')}
   FROM generate_series($1::int, $2::int) AS n`,
  [total + 1, total + total / 2],
);
await query('ANALYZE checkout_session');

type Parameters = Record<string, string>;

function parsed(parameters: Parameters): ListQuery {
  const result = sessionList.parse(parameters);
  if (result.faults) throw new Error(JSON.stringify(result.faults));
  return result.value;
}

/** Runs a page's statements as the service does. Returns the documents. */
async function documentsOf(list: ListQuery): Promise<string[]> {
  const documents: string[] = [];
  for (const statement of pageStatements(sessionTable, list)) {
    if (documents.length > list.limit) break;
    const rows = await database.query<{ document: string }>(statement);
    documents.push(...rows.map(({ document }) => document));
  }
  return documents.slice(0, list.limit);
}

/** Returns the same documents from a slow query that is obviously right. */
async function slowly(where: string, { column, descending }: ListQuery['ordering'], limit: number, offset: number) {
  const direction = descending ? 'DESC' : 'ASC';
  const rows = await query<{ document: string }>(
    `SELECT document FROM checkout_session WHERE version <> 0 AND ${where}
     ORDER BY "${column}" ${direction} NULLS LAST, id ${direction} LIMIT ${limit} OFFSET ${offset}`,
  );
  return rows.map(({ document }) => document);
}

interface Plan {
  'Node Type': string;
  'Plan Rows': number;
  'Actual Rows'?: number;
  'Index Name'?: string;
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  Plans?: Plan[];
}

async function plansOf(list: ListQuery, options = ''): Promise<Plan[]> {
  return Promise.all(
    pageStatements(sessionTable, list).map(async ({ text, values }) => {
      const [row] = await query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (${options}FORMAT JSON) ${text}`, [
        ...values,
      ]);
      return row?.['QUERY PLAN'][0].Plan as Plan;
    }),
  );
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** Expects every statement of a page to use one of the indexes and sort few rows. */
async function expectIndexed(list: ListQuery, ...indexes: string[]): Promise<void> {
  if (!onPostgres) return;
  for (const plan of await plansOf(list)) {
    const nodes = nodesOf(plan);
    const named = nodes.flatMap((node) => node['Index Name'] ?? []);
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
    for (const name of named) expect(indexes).toContain(name);
    expect(named).not.toEqual([]);
    expectFewSorted(nodes, named);
  }
}

/** Order indexes without the id. Only few rows tie in them. */
const fewTie = ['djstripe_created', 'djstripe_updated', 'djstripe_id'].map((name) => `checkout_session_${name}_idx`);

/** Expects sorts of fewer than 1,000 rows, and incremental sorts only on an index with few ties. */
function expectFewSorted(nodes: readonly Plan[], named: readonly string[]): void {
  for (const { 'Node Type': type, 'Plan Rows': count } of nodes) {
    if (type === 'Sort') expect(count, 'rows to sort').toBeLessThan(1000);
    if (type === 'Incremental Sort') for (const name of named) expect(fewTie).toContain(name);
  }
}

const orderIndexes: Readonly<Record<string, string>> = {
  id: 'checkout_session_pkey',
  created: 'checkout_session_created_id_idx',
};
const orderIndex = (column: string) => orderIndexes[column] ?? `checkout_session_${column}_idx`;
const bothDirections = (sessionList.parameters.properties.ordering as unknown as { enum: string[] }).enum;

/** Returns the list that starts at a depth of an ordering, towards either side. */
async function listFrom(ordering: string, depth: number, side: Cursor['side']): Promise<ListQuery> {
  const { ordering: by } = parsed({ ordering });
  const [document] = await slowly('true', by, 1, depth - 1);
  const cursor = encodeCursor(cursorAt(JSON.parse(document as string) as Session, by, side));
  return parsed({ ordering, cursor });
}

test('the default list reads its first page from the index on created', async () => {
  const list = parsed({});
  expect(await documentsOf(list)).toEqual(await slowly('true', list.ordering, 50, 0));
  await expectIndexed(list, orderIndex('created'));
});

describe('each ordering reads its own index:', () => {
  test.each(bothDirections)('%s, first page', async (ordering) => {
    const list = parsed({ ordering });
    expect(await documentsOf(list)).toEqual(await slowly('true', list.ordering, 50, 0));
    await expectIndexed(list, orderIndex(list.ordering.column));
  });

  test.each(bothDirections)('%s, deep page, forwards and backwards', async (ordering) => {
    const depth = 0.9 * total;
    const after = await listFrom(ordering, depth, 'after');
    expect(await documentsOf(after)).toEqual(await slowly('true', after.ordering, 50, depth));
    await expectIndexed(after, orderIndex(after.ordering.column));

    const before = await listFrom(ordering, depth, 'before');
    const wanted = await slowly('true', before.ordering, 50, depth - 1 - 50);
    expect(await documentsOf(before)).toEqual(wanted.reverse());
    await expectIndexed(before, orderIndex(before.ordering.column));
  });

  test.each(['created', '-created'])('%s, pages within the nulls and across their border', async (ordering) => {
    for (const depth of [0.95 * total - 10, 0.95 * total + 10, 0.98 * total]) {
      const after = await listFrom(ordering, depth, 'after');
      expect(await documentsOf(after)).toEqual(await slowly('true', after.ordering, 50, depth));
      await expectIndexed(after, orderIndex('created'));
      const before = await listFrom(ordering, depth, 'before');
      const wanted = await slowly('true', before.ordering, 50, depth - 1 - 50);
      expect(await documentsOf(before)).toEqual(wanted.reverse());
      await expectIndexed(before, orderIndex('created'));
    }
  });
});

describe('common filters read their index:', () => {
  const n = 0.6 * total + 7;
  const cases: [string, Parameters, string, string][] = [
    ['a rare customer', { customer: 'cus_1234' }, "customer = 'cus_1234'", 'customer'],
    ['a hot customer', { customer: 'cus_hot' }, "customer = 'cus_hot'", 'customer'],
    ['no customer', { customer: 'cus_nobody' }, "customer = 'cus_nobody'", 'customer'],
    ['a payment_intent', { payment_intent: `pi_${n}` }, `payment_intent = 'pi_${n}'`, 'payment_intent'],
    ['a subscription', { subscription: 'sub_1233' }, "subscription = 'sub_1233'", 'subscription'],
    [
      'a client_reference_id',
      { client_reference_id: `cart-${n}` },
      `client_reference_id = 'cart-${n}'`,
      'client_reference_id',
    ],
    ['an email', { customer_email: 'buyer77@example.com' }, "customer_email = 'buyer77@example.com'", 'customer_email'],
    ['a customer_account', { customer_account: 'acct_1234' }, "customer_account = 'acct_1234'", 'customer_account'],
    ['a hot payment_link', { payment_link: 'plink_7' }, "payment_link = 'plink_7'", 'payment_link'],
    ['an invoice', { invoice: `in_${3 * Math.floor(n / 3)}` }, `invoice = 'in_${3 * Math.floor(n / 3)}'`, 'invoice'],
    ['metadata of one session', { 'metadata[order]': `${n}` }, `metadata ->> 'order' = '${n}'`, 'metadata'],
    ['metadata of several', { 'metadata[shop]': '123' }, "metadata ->> 'shop' = '123'", 'shop'],
    [
      'two keys of metadata',
      { 'metadata[shop]': '123', 'metadata[plan]': 'gold' },
      "metadata ->> 'shop' = '123' AND metadata ->> 'plan' = 'gold'",
      'shop',
    ],
  ];
  // The planner estimates a shop's sessions from a sample. The ordering's index may look cheaper.
  const indexesOf = (name: string) =>
    name === 'shop' ? ['checkout_session_metadata_idx', orderIndex('created')] : [`checkout_session_${name}_idx`];

  test.each(cases)('%s', async (_, parameters, where, name) => {
    const list = parsed(parameters);
    expect(await documentsOf(list)).toEqual(await slowly(where, list.ordering, 50, 0));
    await expectIndexed(list, ...indexesOf(name));
  });

  test.each(cases)('%s, oldest first', async (_, parameters, where, name) => {
    const list = parsed({ ...parameters, ordering: 'created' });
    expect(await documentsOf(list)).toEqual(await slowly(where, list.ordering, 50, 0));
    await expectIndexed(list, ...indexesOf(name));
  });

  test('several customers', async () => {
    const list = parsed({ customer__in: 'cus_1,cus_2,cus_1234' });
    const where = "customer IN ('cus_1', 'cus_2', 'cus_1234')";
    expect(await documentsOf(list)).toEqual(await slowly(where, list.ordering, 50, 0));
    await expectIndexed(list, 'checkout_session_customer_idx');
  });

  const addressed = "(lower(customer_email) = '%' OR lower(stripe_data #>> '{customer_details,email}') = '%')";
  const emailIndexes = ['checkout_session_customer_email_folded_idx', 'checkout_session_checkout_email_idx'];
  test.each([
    ['an address that was typed', 'GUEST999@example.com'],
    ['an address that was prefilled', 'buyer77@Example.com'],
    ['an address of nobody', 'nobody@example.com'],
  ])('%s, ignoring case', async (_, email) => {
    for (const ordering of ['-created', 'created', 'id', '-djstripe_updated']) {
      const list = parsed({ email, ordering });
      const where = addressed.replaceAll('%', email.toLowerCase());
      expect(await documentsOf(list)).toEqual(await slowly(where, list.ordering, 50, 0));
      await expectIndexed(list, ...emailIndexes);
    }
  });

  test('several addresses with another filter', async () => {
    const list = parsed({ email__in: 'guest999@example.com,BUYER77@example.com', customer__isnull: 'false' });
    const either = ['guest999@example.com', 'buyer77@example.com'].map((one) => addressed.replaceAll('%', one));
    expect(await documentsOf(list)).toEqual(await slowly(`(${either.join(' OR ')})`, list.ordering, 50, 0));
    await expectIndexed(list, ...emailIndexes);
  });

  test('an address of every seventh session may be read in list order', async () => {
    const list = parsed({ email: 'kiosk@example.com' });
    const where = addressed.replaceAll('%', 'kiosk@example.com');
    expect(await documentsOf(list)).toEqual(await slowly(where, list.ordering, 50, 0));
    await expectIndexed(list, orderIndex('created'), ...emailIndexes);
  });

  test('a value of half the sessions may be read in list order', async () => {
    const list = parsed({ 'metadata[plan]': 'gold' });
    expect(await documentsOf(list)).toEqual(await slowly("metadata ->> 'plan' = 'gold'", list.ordering, 50, 0));
    await expectIndexed(list, orderIndex('created'), 'checkout_session_metadata_idx');
  });

  test('a deep page of a hot customer', async () => {
    const { ordering } = parsed({});
    const depth = 0.6 * (total / 5);
    const [document] = await slowly("customer = 'cus_hot'", ordering, 1, depth - 1);
    const cursor = encodeCursor(cursorAt(JSON.parse(document as string) as Session, ordering, 'after'));
    const list = parsed({ customer: 'cus_hot', cursor });
    expect(await documentsOf(list)).toEqual(await slowly("customer = 'cus_hot'", ordering, 50, depth));
    await expectIndexed(list, 'checkout_session_customer_idx');
  });
});

describe('a generic plan reads the index for any values:', () => {
  const kept: [string, Parameters, string][] = [
    ...bothDirections.map((ordering): [string, Parameters, string] => [
      ordering,
      { ordering },
      orderIndex(ordering.replace('-', '')),
    ]),
    ['a customer', { customer: 'cus_1234' }, 'checkout_session_customer_idx'],
    ['an email, oldest first', { customer_email: 'a@b.c', ordering: 'created' }, 'checkout_session_customer_email_idx'],
    ['a payment_intent', { payment_intent: 'pi_1234' }, 'checkout_session_payment_intent_idx'],
    ['a subscription', { subscription: 'sub_1233' }, 'checkout_session_subscription_idx'],
    ['a customer_account', { customer_account: 'acct_1234' }, 'checkout_session_customer_account_idx'],
    ['a payment_link', { payment_link: 'plink_7' }, 'checkout_session_payment_link_idx'],
    ['an invoice', { invoice: 'in_7' }, 'checkout_session_invoice_idx'],
    ['a time', { created__gte: '2024-02-01' }, orderIndex('created')],
    ['one session', { limit: '1' }, orderIndex('created')],
    ['the most sessions', { limit: '1000', customer: 'cus_1234' }, 'checkout_session_customer_idx'],
  ];
  // A customer may have any number of sessions, whatever the planner estimates. These columns identify one session.
  const ofOne = ['payment_intent', 'subscription', 'invoice'].map((name) => `checkout_session_${name}_idx`);
  test.each(kept)('%s', async (_, parameters, index) => {
    const first = parsed(parameters);
    const cursor = (side: Cursor['side']): Cursor => ({
      ordering: `${first.ordering.descending ? '-' : ''}${first.ordering.column}`,
      value: ['id', 'djstripe_id'].includes(first.ordering.column) ? '7' : '2024-02-01T00:00:00Z',
      id: 'cs_test_7',
      side,
    });
    // A bound plus a cursor is a range with two ends, which is planned for its values.
    const pages = parameters.created__gte
      ? [first]
      : [first, { ...first, cursor: cursor('after') }, { ...first, cursor: cursor('before') }];
    for (const { hasOnePlan, text, values } of pages.flatMap((page) => pageStatements(sessionTable, page))) {
      expect(hasOnePlan).toBe(true);
      if (!onPostgres) continue;
      const [row] = await query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${groupedSql(text)}`, [
        JSON.stringify([values, values]),
      ]);
      const nodes = nodesOf(row?.['QUERY PLAN'][0].Plan as Plan);
      expect(new Set(nodes.flatMap((node) => node['Index Name'] ?? []))).toEqual(new Set([index]));
      expectFewSorted(nodes, [index]);
      if (!ofOne.includes(index)) expect(nodes.map((node) => node['Node Type'])).not.toContain('Sort');
    }
  });

  test('a page with payments reads the ledger by primary key, in the same statement', async () => {
    const list = parsed({ customer: 'cus_hot', include: 'payment' });
    const [{ hasOnePlan, text, values } = {}, ...others] = pageStatements(sessionTable, { ...list, limit: 50 });
    expect(hasOnePlan).toBe(true);
    expect(await documentsOf(list)).toHaveLength(50);
    if (!onPostgres || text === undefined) return;
    // One statement reads values and nulls: a filtered page is rarely full.
    expect(others).toEqual([]);
    const [row] = await query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${groupedSql(text)}`, [
      JSON.stringify([values, values]),
    ]);
    const nodes = nodesOf(row?.['QUERY PLAN'][0].Plan as Plan);
    const indexes = ['checkout_session_customer_idx', 'stripe_event_pkey'];
    expect(new Set(nodes.flatMap((node) => node['Index Name'] ?? []))).toEqual(new Set(indexes));
  });

  test.each([
    ['a hot value', { livemode: 'true' }],
    ['metadata', { 'metadata[shop]': '1' }],
    ['a span of time', { created__gte: '2024-02-01', created__lt: '2024-03-01' }],
    ['a customer in another order', { customer: 'cus_1234', ordering: 'id' }],
    ['two indexed filters', { customer: 'cus_1234', payment_intent: 'pi_1' }],
    ['no value', { customer: '' }],
    ['an address', { email: 'guest999@example.com' }],
  ])('%s gets a new plan each time', (_, parameters) => {
    for (const { hasOnePlan } of pageStatements(sessionTable, parsed(parameters as Parameters))) {
      expect(hasOnePlan).toBe(false);
    }
  });

  test('a statement becomes prepared at its fifth use and is dropped once others are used more', () => {
    let made = 0;
    const keep = keepFrequent((key) => `${key} ${++made}`);
    const first = Array.from({ length: 6 }, () => keep('first'));
    expect(first).toEqual([undefined, undefined, undefined, undefined, 'first 1', 'first 1']);
    for (let rare = 0; rare < 20_000; rare += 1) expect(keep(`rare ${rare}`)).toBeUndefined();
    for (let other = 0; other < 150; other += 1) {
      for (let use = 1; use < 5; use += 1) expect(keep(`other ${other}`)).toBeUndefined();
      expect(keep(`other ${other}`)).toBeDefined();
      expect(keep('first')).toBe('first 1');
    }
    expect(keep('other 51')).toBeDefined();
    expect(keep('other 50')).toBeUndefined();
  });

  test("pages of many limits share a statement that reads only its page's rows", async () => {
    const texts = new Set<string>();
    for (let limit = 1; limit <= 1000; limit += 37) {
      const list = parsed({ limit: String(limit) });
      for (const { text, values } of pageStatements(sessionTable, list)) {
        texts.add(text);
        expect(values.at(-1)).toBe(limit + 1);
      }
      if (limit % 2) expect(await documentsOf(list)).toEqual(await slowly('true', list.ordering, limit, 0));
      if (!onPostgres || limit > 100) continue;
      const [plan] = await plansOf(list, 'ANALYZE, ');
      for (const node of nodesOf(plan as Plan)) expect(node['Actual Rows']).toBeLessThanOrEqual(limit + 1);
    }
    // One for values and one for nulls, each for three page sizes.
    expect(texts.size).toBe(6);
  });
});

describe('a deep page reads no more buffers than the first:', () => {
  const buffersOf = async (list: ListQuery) => {
    const [first] = pageStatements(sessionTable, list);
    expect(first).toBeDefined();
    const [plan] = await plansOf(list, 'ANALYZE, BUFFERS, ');
    return (plan?.['Shared Hit Blocks'] ?? 0) + (plan?.['Shared Read Blocks'] ?? 0);
  };

  test.each(bothDirections)('%s', async (ordering) => {
    const deep = {
      after: await listFrom(ordering, 0.9 * total, 'after'),
      before: await listFrom(ordering, 0.9 * total, 'before'),
    };
    for (const list of Object.values(deep)) expect(await documentsOf(list)).toHaveLength(50);
    if (!onPostgres) return;
    const shallow = await buffersOf(parsed({ ordering }));
    expect(shallow).toBeGreaterThan(0);
    for (const list of Object.values(deep)) expect(await buffersOf(list)).toBeLessThanOrEqual(1.5 * shallow + 20);
  });

  test.each(['djstripe_created', 'djstripe_updated', 'djstripe_id'])('%s, up to a bound', async (ordering) => {
    const bound = ordering === 'djstripe_id' ? '2147483647' : '2100-01-01T00:00:00Z';
    const bounded = parsed({ ordering, [`${ordering}__lt`]: bound });
    expect(await documentsOf(bounded)).toEqual(await documentsOf(parsed({ ordering })));
    if (!onPostgres) return;
    const shallow = await buffersOf(parsed({ ordering }));
    expect(await buffersOf(bounded)).toBeLessThanOrEqual(1.5 * shallow + 20);
  });
});
