import { describe, expect, test } from 'vitest';
import { contract } from '../support/contract.js';
import { expectProblem, sessionBody, sessionsPath, startService } from '../support/service.js';

const { api, database } = await startService();

type Stored = Record<string, unknown> & { id: string };
/** `name=value`, unencoded, or a pair when the name contains an equals sign. */
type Pair = string | [name: string, value: string];

/** Texts that a careless filter confuses with one another, with a pattern, or with SQL. */
const texts = [
  ...['Plain', 'plain', 'PLAIN text', 'plainly', '100%', '100x', '%', '50%_off', 'a_b', 'aXb', '_', 'back\\slash'],
  ...['backXslash', '\\', "O'Brien", "o'brien", 'say "hi"', 'one,two', 'one', 'two', 'Ünïcode ✓', 'ünïcode ✓'],
  ...['UNICODE', '日本語', '日本', '😀 smile', ' spaced ', 'spaced', 'a+b&c=d #e?', 'a b', '$1', '[a-z]', '(.*)'],
  ...['null', 'true', '5', '5.0', '{"a":1}', ''],
] as const;

const textColumns = [
  ...['description', 'cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'],
  ...['djstripe_owner_account', 'customer', 'payment_intent', 'subscription'],
];
const nullableTexts = ['description', 'djstripe_owner_account', 'customer', 'payment_intent', 'subscription'];

const instants = [
  ...['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.000001Z', '2024-02-29T17:30:00.5+05:30', '2024-03-01T00:00:00Z'],
  ...['2024-02-29T23:59:59.999999Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', null, '1969-12-31T23:59:59Z'],
];
const metadata = [
  ...[{ order: '5' }, { order: 5 }, { order: '5.0' }, { order: true }, { order: 'true' }, { order: null }, null, {}],
  ...[{ order: 'null' }, { order: ['5'] }, { order: { a: '5' } }, { order: 'Ünïcode ✓', plan: 'gold' }],
  ...[
    { order: 5, plan: 'gold' },
    { order: '5', plan: 'gold', 'a"b': '1' },
    { 'a"b': '2', 'a]b': '1', '[x]': '1' },
  ],
  ...[{ '50%': 'half', 'back\\slash': 'a\\b', "it's": "o'k", '': 'empty' }, { nested: { order: '5' } }, { 日本: '語' }],
  ...[{ order: -0.5 }, { order: 1e21 }, { order: 'a,b' }, { plan: '' }, { 'a/b~c': '1' }, { order: '100%' }],
];
const paymentMethods = [
  ...[['card'], ['card', 'ideal'], ['ideal'], ['sepa_debit'], ['Card'], [], ['us_bank_account', 'card'], ['car_']],
  ...[['ca%'], ['card"']],
];
const cycle = <Value>(values: readonly Value[], number: number) => values[number % values.length] as Value;

/** Each column takes the texts in another order, so that no two columns agree. */
function fieldsOf(number: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    id: `${cycle(texts, number)}${number % 3 === 0 ? '' : '-x'}${number}`,
    billing_address_collection: cycle(['auto', 'required'], number),
    mode: cycle(['payment', 'setup', 'subscription'], number),
    submit_type: cycle(['auto', 'book', 'donate', 'pay', 'pay'], number),
    livemode: cycle([true, false, null, true], number),
    created: cycle(instants, number),
    metadata: cycle(metadata, number),
    payment_method_types: cycle(paymentMethods, number),
  };
  for (const [shift, name] of textColumns.entries()) {
    const nothing = nullableTexts.includes(name) && number >= texts.length && (number + shift) % 3 > 0;
    fields[name] = nothing ? null : cycle(texts, number + 5 * shift);
  }
  return fields;
}

const stored: Stored[] = [];
for (let number = 0; number < texts.length + 6; number += 1) {
  const { body } = await api
    .post(sessionsPath)
    .send(sessionBody(fieldsOf(number)))
    .expect(201);
  stored.push(body);
}
// Later patches move djstripe_updated away from djstripe_created.
for (let number = 0; number < stored.length; number += 4) {
  const path = `${sessionsPath}/${encodeURIComponent((stored[number] as Stored).id)}`;
  const { body } = await api
    .patch(path)
    .send({ metadata: { patched: 'yes' } })
    .expect(200);
  stored[number] = body;
}
// Stripe sets these columns; they are not in the document.
for (const [number, session] of stored.entries()) {
  session.status = cycle(['open', 'complete', 'expired', null, 'complete'], number);
  session.payment_status = cycle(['paid', 'unpaid', 'no_payment_required', null], number);
  const typed = cycle(
    [null, 'Guest@Example.com', undefined, '', 'GÄST@example.com', 'guest@example.com', 'plain'],
    number,
  );
  const references = {
    customer_account: cycle([null, 'acct_1', 'acct_2', undefined], number),
    payment_link: cycle(['plink_1', null, 'plink_2'], number),
    invoice: cycle([undefined, 'in_1', null, 'in_2', 'in_1'], number),
  };
  const isExpanded = number % 2 > 0;
  const raw = {
    customer_details: typed === undefined ? null : { email: typed },
    ...Object.fromEntries(
      Object.entries(references).map(([name, id]) => [name, id && isExpanded ? { object: name, id } : id]),
    ),
  };
  session.email = [session.customer_email, typed];
  for (const [name, id] of Object.entries(references)) session[name] = id ?? null;
  await database.query({
    text: 'UPDATE checkout_session SET status = $2, payment_status = $3, stripe_data = $4::jsonb WHERE id = $1',
    values: [session.id, session.status, session.payment_status, JSON.stringify(raw)],
  });
}
const at = (number: number) => stored[number] as Stored;

const parts = (pair: Pair) =>
  (typeof pair === 'string' ? /^(.*?)=(.*)$/s.exec(pair)?.slice(1, 3) : pair) as [string, string];

/** Returns the sorted ids that match all filters. */
async function found(...pairs: Pair[]): Promise<string[]> {
  const { body } = await api.get(`${sessionsPath}?limit=1000&${new URLSearchParams(pairs.map(parts))}`).expect(200);
  return body.results.map(({ id }: Stored) => id).sort();
}

const idsWhere = (holds: (session: Stored) => boolean) =>
  stored
    .filter(holds)
    .map(({ id }) => id)
    .sort();

/** Returns microseconds since 1970; a Date only has milliseconds. */
function microseconds(text: string): number {
  const [, second = '', fraction = '', zone = ''] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(text) ?? [];
  return Date.parse(`${second}${zone}`) * 1000 + Number(fraction.padEnd(6, '0'));
}

const timeColumns = ['created', 'djstripe_created', 'djstripe_updated'];

/** Converts a stored or requested value so that `===`, `<` and `>` compare as the filter does. */
function comparable(column: string, value: unknown): string | number | null {
  if (value === null) return null;
  if (column === 'djstripe_id') return Number(value);
  const text = String(value);
  return timeColumns.includes(column)
    ? microseconds(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
    : text;
}

type Value = ReturnType<typeof comparable>;

const lookups: Record<string, (value: Value, wanted: Value[], session: Stored) => boolean> = {
  exact: (value, [wanted]) => value === wanted,
  in: (value, wanted) => wanted.includes(value),
  gt: (value, [wanted]) => value !== null && value > (wanted as string | number),
  gte: (value, [wanted]) => value !== null && value >= (wanted as string | number),
  lt: (value, [wanted]) => value !== null && value < (wanted as string | number),
  lte: (value, [wanted]) => value !== null && value <= (wanted as string | number),
  startswith: (value, [wanted]) => String(value ?? '\0').startsWith(String(wanted)),
  iexact: (value, [wanted]) => value !== null && String(value).toLowerCase() === String(wanted).toLowerCase(),
  icontains: (value, [wanted]) => value !== null && String(value).toLowerCase().includes(String(wanted).toLowerCase()),
  contains: (_, [wanted], session) => Object.values(session.payment_method_types as object).includes(wanted),
};

/** Returns the ids that match one filter, computed in JavaScript without SQL. */
function expected(parameter: string, values: string[]): string[] {
  const [column = '', lookup = 'exact'] = parameter.split('__');
  if (column === 'email') {
    const folded = values.map((value) => value.toLowerCase());
    return idsWhere(({ email }) =>
      (email as (string | null | undefined)[]).some((address) => address && folded.includes(address.toLowerCase())),
    );
  }
  if (lookup === 'isnull') return idsWhere((session) => (session[column] === null) === (values[0] === 'true'));
  const wanted = values.map((value) => comparable(column, value));
  return idsWhere((session) => lookups[lookup]?.(comparable(column, session[column]), wanted, session) as boolean);
}

/** Example values of each filter. Each matches some sessions but not all. An array repeats the parameter. */
const examples: Record<string, (string | string[])[]> = {
  billing_address_collection: ['auto', 'required'],
  billing_address_collection__in: ['required', ['auto']],
  mode: ['payment', 'setup', 'subscription'],
  mode__in: ['payment,setup', ['payment', 'subscription']],
  submit_type: ['auto', 'book', 'donate', 'pay'],
  submit_type__in: ['auto,pay', ['donate', 'book']],
  livemode: ['true', 'false'],
  livemode__in: ['true', 'true,false', ['false']],
  livemode__isnull: ['true', 'false'],
  created__isnull: ['true', 'false'],
  payment_method_types__contains: ['card', 'ideal', 'Card', 'car_', 'ca%', 'card"', 'us_bank_account'],
  status: ['open', 'complete', 'expired'],
  status__in: ['open,expired', ['complete', 'open']],
  payment_status: ['paid', 'unpaid', 'no_payment_required'],
  payment_status__in: ['paid,no_payment_required', ['unpaid']],
  email: [
    'guest@example.com',
    'GUEST@EXAMPLE.COM',
    'gäst@Example.com',
    'Plain',
    'PLAIN text',
    "O'BRIEN",
    '%',
    '日本語',
  ],
  email__in: ['guest@example.com,plainly', ['one,two', 'GUEST@example.com'], 'nobody,plain'],
};

for (const [name, ids] of Object.entries({
  customer_account: ['acct_1', 'acct_2'],
  payment_link: ['plink_1', 'plink_2'],
  invoice: ['in_1', 'in_2'],
})) {
  examples[name] = ids;
  examples[`${name}__in`] = [`${ids[0]},x`, [`${ids[1]}`, 'x']];
  examples[`${name}__isnull`] = ['true', 'false'];
}

for (const [lookup, values] of Object.entries({
  '': [String(at(3).djstripe_id)],
  __in: [`${at(0).djstripe_id},${at(7).djstripe_id}`, [String(at(1).djstripe_id), String(at(2).djstripe_id)]],
  __gt: [String(at(20).djstripe_id), String(at(0).djstripe_id)],
  __gte: [String(at(20).djstripe_id), String(at(1).djstripe_id)],
  __lt: [String(at(20).djstripe_id), String(at(1).djstripe_id)],
  __lte: [String(at(20).djstripe_id), String(at(0).djstripe_id)],
})) {
  examples[`djstripe_id${lookup}`] = values;
}

const createdExamples = [
  ...['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.000001Z', '2024-02-29T13:00:00+01:00', '2024-02-28T20:00:00-16:00'],
  ...['2024-03-01', '2024-03-01T05:30:00+05:30', '2024-02-29t12:00:00.5z', '1969-12-31T23:59:59Z'],
];
const rowExamples = (column: string) => [at(5), at(16), at(30)].map((session) => String(session[column]));
for (const column of timeColumns) {
  const times = column === 'created' ? createdExamples : rowExamples(column);
  examples[column] = times;
  examples[`${column}__in`] = [times[0] as string, times.slice(0, 2).join(','), times.slice(1, 3)];
  for (const comparison of ['gt', 'gte', 'lt', 'lte']) examples[`${column}__${comparison}`] = times;
}

for (const column of textColumns) {
  examples[column] = [...texts];
  examples[`${column}__in`] = [
    ...['Plain', 'one,two', 'Plain,100%,nothing', "O'Brien,o'brien", '_,%,\\', '日本,日本語', '5,'],
    ...[
      ['one,two', 'Plain'],
      ['one,two', 'one,two'],
      ['say "hi"', '{"a":1}', 'null'],
      ['', 'true'],
    ],
  ];
  examples[`${column}__startswith`] = [
    ...['Plain', 'plain', '100', '100%', '%', '_', 'a_', '\\', 'back\\', "O'", 'say "', 'one,', '日', '😀', ' '],
    ...['Ün', '$', '[', '(', '{"a', '5'],
  ];
  examples[`${column}__iexact`] = texts.map((text) => (text.length % 2 ? text.toUpperCase() : text.toLowerCase()));
  examples[`${column}__icontains`] = [
    ...['PLAIN', 'lain', '0%', '%', '_', 'A_B', '\\', '\\S', "'B", '"', ',', 'ÜNÏ', 'nïcode', '本', '😀', '+b&C', '$1'],
    ...['-Z]', '.*', '":1', ' ', 'Ull'],
  ];
  if (nullableTexts.includes(column)) examples[`${column}__isnull`] = ['true', 'false'];
}

examples.id = [at(0).id, at(4).id, at(11).id, at(13).id, at(20).id, at(25).id];
examples.id__in = [[at(0).id, at(4).id], [at(17).id, at(17).id], `${at(1).id},nothing`];
examples.id__startswith = ['Plain', 'plain', '100%', '%', '_', 'a_', '\\', 'back\\', "o'", '日', '😀', ' '];
examples.id__iexact = [at(0).id.toUpperCase(), at(2).id.toLowerCase(), at(20).id.toUpperCase(), at(8).id.toUpperCase()];
examples.id__icontains = ['PLAIN', '%', '_', '\\', "'B", '"', ',', 'ÜNÏ', '本', '😀', '-X', '.*'];

const parameters: string[] = contract.paths[sessionsPath].get.parameters
  .map(({ name }: { name: string }) => name)
  .filter((name: string) => !['limit', 'cursor', 'ordering', 'count', 'include', 'metadata'].includes(name));

describe('a filter finds exactly the sessions it describes:', () => {
  test.each(parameters)('%s', async (parameter) => {
    const values = examples[parameter] ?? [];
    expect(values.length, 'examples of the filter').toBeGreaterThan(0);
    const check = async (example: string | string[]) => {
      const repeated = typeof example === 'string' ? [example] : example;
      const separated = parameter.endsWith('__in') && typeof example === 'string' ? example.split(',') : repeated;
      const ids = expected(parameter, separated);
      expect(ids.length, `${parameter}=${example} is an example of some`).toBeGreaterThan(0);
      expect(ids.length, `${parameter}=${example} is an example of some`).toBeLessThan(stored.length);
      expect(await found(...repeated.map((value): Pair => [parameter, value])), `${parameter}=${example}`).toEqual(ids);
    };
    await Promise.all(values.map(check));
  });

  test('the examples contain no unpublished filter', () => {
    expect(Object.keys(examples).filter((name) => !parameters.includes(name))).toEqual([]);
  });
});

describe('a filter that matches nothing finds nothing:', () => {
  test.each([
    ...['customer=nobody', 'customer__in=nobody,noone', 'id=cs_missing', 'djstripe_id=9223372036854775807'],
    ...['djstripe_id__lt=-9223372036854775808', 'created__gt=9999-12-31T23:59:59.999999Z', 'created__lt=0001-01-01'],
    ...['djstripe_created__lt=2000-01-01', 'payment_method_types__contains=car', 'payment_method_types__contains=0'],
    ...['metadata[order]=nothing', 'metadata[missing]='],
  ])('%s', async (filter) => {
    expect(await found(filter)).toEqual([]);
  });

  test('two filters that exclude each other', async () => {
    expect(await found('mode=payment', 'mode__in=setup,subscription')).toEqual([]);
  });
});

describe('metadata[key]=value compares text, and the JSON text of a number or boolean:', () => {
  const valueAt = (session: Stored, key: string) => (session.metadata as Record<string, unknown> | null)?.[key];
  const asText = (value: unknown) =>
    ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;

  test.each([
    ...['order=5', 'order=5.0', 'order=true', 'order=null', 'order=-0.5', 'order=Ünïcode ✓', 'order=a,b', 'order=100%'],
    ...['plan=gold', 'plan=', 'a"b=1', 'a"b=2', 'a]b=1', '[x]=1', '50%=half', "it's=o'k", 'back\\slash=a\\b', '=empty'],
    ...['日本=語', 'a/b~c=1', 'patched=yes'],
  ])('%s', async (entry) => {
    const [key, value] = parts(entry);
    const ids = idsWhere((session) => asText(valueAt(session, key)) === value);
    expect(ids.length).toBeGreaterThan(0);
    expect(await found([`metadata[${key}]`, value])).toEqual(ids);
  });

  test.each([
    ...['order=05', 'order=5e0', 'order=5.00', 'order=+5', 'order=TRUE', 'order=%', 'order=["5"]', 'order={"a": "5"}'],
    ...['order=_', 'Order=5', 'plan=Gold', 'a=5', 'order=-5', 'order=-.5', 'nested=5', 'nested.order=5', 'order="5"'],
  ])('%s matches no session', async (entry) => {
    const [key, value] = parts(entry);
    expect(await found([`metadata[${key}]`, value])).toEqual([]);
  });

  test('numbers compare by their text, so 5 is not 5.0', async () => {
    const ids = ['text "5"', 'number 5', 'number 5.0', 'text "5.0"'];
    const values = ['"5"', '5', '5.0', '"5.0"'];
    for (const id of ids) await api.post(sessionsPath).send(sessionBody({ id })).expect(201);
    try {
      // JSON.parse turns 5.0 into 5, so SQL writes the rows.
      for (const [index, id] of ids.entries()) {
        await database.query({
          text: 'UPDATE checkout_session SET metadata = $2::jsonb WHERE id = $1',
          values: [id, `{"amount": ${values[index]}}`],
        });
      }
      expect(await found(['metadata[amount]', '5'])).toEqual(['number 5', 'text "5"']);
      expect(await found(['metadata[amount]', '5.0'])).toEqual(['number 5.0', 'text "5.0"']);
      expect(await found(['metadata[amount]', '5.00'])).toEqual([]);
    } finally {
      for (const id of ids) await api.delete(`${sessionsPath}/${encodeURIComponent(id)}`).expect(204);
    }
  });

  test('numbers beyond a double compare by every digit', async () => {
    expect(await found(['metadata[order]', '1000000000000000000000'])).toEqual(
      idsWhere((session) => valueAt(session, 'order') === 1e21),
    );
    expect(await found(['metadata[order]', '1000000000000000000001'])).toEqual([]);
    expect(await found(['metadata[order]', '9'.repeat(9000)])).toEqual([]);
    expect(await found(['metadata[order]', `0.${'1'.repeat(9000)}`])).toEqual([]);
  });

  test('several metadata keys must all match', async () => {
    const five = (session: Stored) => asText(valueAt(session, 'order')) === '5';
    const gold = idsWhere((session) => five(session) && valueAt(session, 'plan') === 'gold');
    expect(gold.length).toBeGreaterThan(1);
    expect(await found('metadata[order]=5', 'metadata[plan]=gold')).toEqual(gold);
    const three = ['metadata[order]=5', 'metadata[plan]=gold', 'metadata[a"b]=1'];
    expect(await found(...three)).toEqual(idsWhere((session) => five(session) && valueAt(session, 'a"b') === '1'));
    expect(await found(...three, 'metadata[order2]=5')).toEqual([]);
  });
});

describe('several filters must all match:', () => {
  test.each([
    ['mode=payment', 'livemode=true', 'submit_type__in=auto,pay'],
    ['created__gte=2024-02-29T12:00:00Z', 'created__lt=2024-03-01'],
    [`djstripe_id__gt=${at(5).djstripe_id}`, `djstripe_id__lte=${at(30).djstripe_id}`],
    ['customer__icontains=X', 'customer__startswith=b'],
    ['customer__isnull=false', 'description__isnull=true'],
    ['locale__icontains=a', 'customer_email__icontains=e'],
    ['payment_method_types__contains=card', 'mode__in=payment,setup'],
  ])('%s and %s', async (...filters) => {
    const pairs = filters.filter((filter) => typeof filter === 'string');
    const each = pairs
      .map(parts)
      .map(([name, value]) => expected(name, name.endsWith('__in') ? value.split(',') : [value]));
    const ids = each.reduce((one, other) => one.filter((id) => other.includes(id)));
    expect(ids.length).toBeGreaterThan(0);
    for (const alone of each) expect(ids.length).toBeLessThan(alone.length);
    expect(await found(...pairs)).toEqual(ids);
  });

  test('with every ordering, even where its column is null', async () => {
    const ids = idsWhere(({ created, mode }) => created === null && mode === 'setup');
    expect(ids.length).toBeGreaterThan(0);
    for (const ordering of ['created', '-created', 'id', '-djstripe_id']) {
      expect(await found('mode=setup', 'created__isnull=true', `ordering=${ordering}`)).toEqual(ids);
    }
  });
});

describe('a text of any storable length is found:', () => {
  const long = {
    'at the index limit of 1,024 bytes': 'a'.repeat(1024),
    'one byte over the index limit': 'a'.repeat(1025),
    '5,000 characters': 'b'.repeat(5000),
    '1,500 characters of three bytes': '€'.repeat(1500),
    'just over the index limit in three-byte characters': '€'.repeat(343),
  };
  test.each(Object.entries(long))('%s', async (name, text) => {
    const reference = `${text.slice(0, -1)}!`;
    const id = `long ${name}`;
    await api
      .post(sessionsPath)
      .send(sessionBody({ id, client_reference_id: reference }))
      .expect(201);
    try {
      expect(await found(['client_reference_id', reference])).toEqual([id]);
      expect(await found(`client_reference_id__in=${reference}`, 'client_reference_id__in=-')).toEqual([id]);
      expect(await found(['client_reference_id__startswith', reference])).toEqual([id]);
      expect(await found(['client_reference_id', reference.slice(0, -1)])).toEqual([]);
      expect(await found(['customer', reference])).toEqual([]);
    } finally {
      await api.delete(`${sessionsPath}/${encodeURIComponent(id)}`).expect(204);
    }
  });

  test('a short and a long text in one __in filter', async () => {
    const reference = 'c'.repeat(3000);
    await api
      .post(sessionsPath)
      .send(sessionBody({ id: 'long', client_reference_id: reference }))
      .expect(201);
    try {
      const ids = [...expected('client_reference_id', ['Plain']), 'long'].sort();
      expect(await found(['client_reference_id__in', `Plain,${reference}`])).toEqual(ids);
    } finally {
      await api.delete(`${sessionsPath}/long`).expect(204);
    }
  });
});

describe('SQL and patterns in a filter value are plain text:', () => {
  const hostile = [
    ...["' OR '1'='1", "'; DROP TABLE checkout_session; --", '" OR ""="', "') OR true --", '$1', '$$', ':name', '?'],
    ...['%', '%%', '_', '\\', '\\\\', '\\%', '%_%', '.*', '^', '$', '.', '[', '[a-z]', '(', ')', '*', '+', '(?i)', '|'],
    ...['{', '}', '{}', '"', "'", '`', '\t', '\n', '\r\n', '\u007f', '\u200b', '\uffff', '😀', '/*', '--', '%s', '&'],
    ...['%00', '\\0', '\\x00', '\\u0000'],
  ];
  const textFilters = [...textColumns, 'id'].flatMap((column) =>
    ['', '__in', '__startswith', '__iexact', '__icontains'].map((lookup) => `${column}${lookup}`),
  );
  test.each([...textFilters, 'payment_method_types__contains'])('%s', async (parameter) => {
    const check = async (value: string) => {
      const ids = expected(parameter, [value]);
      expect(ids.length).toBeLessThan(stored.length);
      expect(await found([parameter, value]), value).toEqual(ids);
    };
    await Promise.all(hostile.map(check));
  });

  test('in a metadata key and value', async () => {
    const check = async (value: string) => {
      const ofKey = stored.filter(({ metadata }) => Object.hasOwn(metadata ?? {}, value));
      expect(ofKey, 'the seeds have no such key').toEqual([]);
      expect(await found([`metadata[${value}]`, value]), value).toEqual([]);
      expect(await found(['metadata[order]', value]), value).toEqual([]);
    };
    await Promise.all(hostile.map(check));
  });

  test('no session was changed or deleted', async () => {
    expect(await found()).toEqual(idsWhere(() => true));
  });
});

async function faultsOf(query: string): Promise<{ in: string; pointer: string; detail: string }[]> {
  const problem = expectProblem(await api.get(`${sessionsPath}?${query}`), 400, 'invalid-request');
  expect(problem.instance).toBe(sessionsPath);
  return problem.errors;
}

describe('an unknown filter is refused with the nearest one suggested:', () => {
  test.each([
    ['custmer=cus_1', 'custmer', 'customer'],
    ['Customer=cus_1', 'Customer', 'customer'],
    ['customer__startwith=c', 'customer__startwith', 'customer__startswith'],
    ['created__gtee=2024-01-01', 'created__gtee', 'created__gte'],
    ['odering=created', 'odering', 'ordering'],
    ['limt=5', 'limt', 'limit'],
    ['emial=a', 'emial', 'email'],
    ['mail=a', 'mail', 'email'],
    ['CUSTOMER_EMAIL=a', 'CUSTOMER_EMAIL', 'customer_email'],
    ['page_size=5', 'page_size', 'limit'],
    ['customer_id=cus_1', 'customer_id', 'customer'],
    ['order_by=id', 'order_by', 'ordering'],
    ['created[gte]=1', 'created[gte]', 'created__gte'],
    ['customer_details[email]=a', 'customer_details[email]', 'email'],
  ])('%s', async (query, name, nearest) => {
    const faults = await faultsOf(query);
    expect(faults).toMatchObject([{ in: 'query', pointer: `/${name}` }]);
    expect(faults[0]?.detail).toContain(`did you mean ${nearest}?`);
  });

  test.each(['metadata', 'metdata', 'metdata[a]', 'metadata.a'])(
    '%s suggests how to filter by metadata',
    async (name) => {
      const [fault] = await faultsOf(`${encodeURIComponent(name)}=1`);
      expect(fault?.detail).toContain('; write metadata[key]=value');
    },
  );

  test.each([
    ...[
      'order_by',
      'client_secret',
      'stripe_data',
      'document__icontains',
      'version',
      'customer__regex',
      'livemode__gt',
    ],
    ...['mode__isnull', 'payment_method_types', 'display_items', 'metadata', 'metadata__contains', 'metadata[a'],
    ...['metadata.a', '', 'toString', '__proto__', 'constructor', 'mode[a]', '[]', 'metadata[', 'livemode__isnull[]'],
    ...['__proto__[]', 'constructor[0]', "customer' OR 1", 'page', 'offset', 'limit[]'],
  ])('%s is not a filter', async (name) => {
    const faults = await faultsOf(`${encodeURIComponent(name)}=1`);
    expect(faults).toMatchObject([
      { in: 'query', pointer: `/${name}`, detail: expect.stringContaining('not a filter') },
    ]);
  });

  test.each(['completely_unrelated', 'total', 'q', 'foo', 'amount', 'currency', 'expires_at', 'page', 'x[y]'])(
    '%s gets no suggestion because no filter is near',
    async (name) => {
      const [fault] = await faultsOf(`${encodeURIComponent(name)}=1`);
      expect(fault?.detail).not.toContain('did you mean');
    },
  );

  test.each(['page', 'offset', 'starting_after', 'ending_before'])(
    '%s suggests following the page links',
    async (name) => {
      expect((await faultsOf(`${name}=1`))[0]?.detail).toContain('follow `next` and `previous`');
    },
  );
});

const badValues: [string, string[]][] = [
  ['djstripe_id', ['', 'abc', '1.5', '1e3', ' 5', '5 ', '0x10', '9223372036854775808', '-9223372036854775809', '１']],
  ['djstripe_id__in', ['', '1,,2', '1,abc', ',', '1,9223372036854775808']],
  ['djstripe_id__gt', ['', 'abc', 'null', '99999999999999999999999']],
  ['livemode', ['', 'yes', '2', 'null', 'truee', ' true']],
  ['livemode__in', ['', 'true,maybe', 'true,']],
  ['livemode__isnull', ['', 'maybe', 'null']],
  ['customer__isnull', ['', 'maybe', 'cus_1']],
  ['created', ['', 'yesterday', '2024-02-30', '2024-13-01', '2024-02-29T12', '1709208000', '10000-01-01']],
  ['created__in', ['', '2024-01-01,', '2024-01-01,soon']],
  ['created__gte', ['', '2024', '2024-02-29 12:00:00 CET', '0000-01-01', '2024-02-29T25:00:00Z', 'infinity', 'now']],
  ['djstripe_updated__lt', ['', 'epoch', '2024-02-29T12:00:00+24:00', '9999-12-31T23:59:59-00:01']],
  ['status', ['', 'Complete', 'paid', 'complete,open']],
  ['status__in', ['', 'complete,done']],
  ['payment_status', ['', 'payed', 'unpaid ']],
  ['mode', ['', 'Payment', 'foo', 'payment,setup', ' payment', '%']],
  ['mode__in', ['', 'payment,foo', 'payment,', 'payment, setup']],
  ['submit_type', ['', 'subscribe', "pay' OR '1'='1"]],
  ['billing_address_collection', ['', 'AUTO', 'none']],
  ['limit', ['', '0', '-1', '1001', 'abc', '1.5', '1e2', ' 5', '+5', '0x10', '99999999999999999999', '１', 'null']],
  [
    'ordering',
    ['', '-', 'foo', '--created', 'created ', 'Created', 'customer', 'created,id', '+created', 'created DESC'],
  ],
  ['count', ['', 'true', 'Exact', 'exact ', '1']],
];
const allowed: Record<string, string> = { mode: 'payment, setup, subscription', count: 'exact', limit: '1000' };

describe('a value outside an enum is refused with the nearest one suggested:', () => {
  test.each([
    ['payment_status=payed', 'paid, unpaid, no_payment_required', 'paid'],
    ['payment_status=PAID', 'paid, unpaid, no_payment_required', 'paid'],
    ['status=completed', 'open, complete, expired', 'complete'],
    ['status__in=open,expird', 'open, complete, expired', 'expired'],
    ['mode=Setup', 'payment, setup, subscription', 'setup'],
    ['ordering=creatd', 'created, djstripe_created', 'created'],
  ])('%s', async (query, values, nearest) => {
    const [fault] = await faultsOf(query);
    expect(fault?.detail).toContain(`must be one of ${values}`);
    expect(fault?.detail).toContain(`; did you mean ${nearest}?`);
  });

  test.each(['status=paid', 'payment_status=refunded', 'mode=1'])('%s gets no suggestion', async (query) => {
    expect((await faultsOf(query))[0]?.detail).not.toContain('did you mean');
  });

  test('the same for the filters of /api/stripe-events', async () => {
    const problem = expectProblem(await api.get('/api/stripe-events?outcome=aplied'), 400, 'invalid-request');
    expect(problem.errors[0].detail).toBe('must be one of applied, stale, deleted; did you mean applied?');
  });

  test('a status Stripe adds in the future is stored and listed', async () => {
    const { id } = at(0);
    const set = (status: unknown) =>
      database.query({ text: 'UPDATE checkout_session SET status = $2 WHERE id = $1', values: [id, status] });
    await set('paused');
    try {
      expect(await found(['id', id])).toEqual([id]);
      expect(await found('status__in=open,complete,expired')).not.toContain(id);
      await faultsOf('status=paused');
    } finally {
      await set(at(0).status);
    }
  });
});

describe('filters accept the spellings clients use for arrays, booleans and times:', () => {
  test.each<[string[], string[]]>([
    [['customer[]=Plain'], ['customer__in=Plain']],
    [['customer[]=Plain', 'customer[]=plainly'], ['customer__in=Plain,plainly']],
    [['customer[0]=Plain', 'customer[1]=plainly'], ['customer__in=Plain,plainly']],
    [['customer__in[]=Plain', 'customer__in[]=plainly'], ['customer__in=Plain,plainly']],
    [['customer__in[0]=Plain'], ['customer__in=Plain']],
    [['customer[]=one,two'], ['customer=one,two']],
    [['customer__in[]=one,two'], ['customer=one,two']],
    [['mode[]=setup', 'mode[]=payment'], ['mode__in=setup,payment']],
    [
      ['status[]=open', 'email[]=GUEST@example.com'],
      ['status=open', 'email=guest@example.com'],
    ],
    [['livemode[]=1', 'livemode[]=FALSE'], ['livemode__in=true,false']],
    [['created[]=2024-03-01', 'created[]=2024-02-29 12:00:00'], ['created__in=2024-03-01,2024-02-29T12:00:00Z']],
    [['livemode=1'], ['livemode=true']],
    [['livemode=False'], ['livemode=false']],
    [['livemode__in=0,TRUE'], ['livemode__in=false,true']],
    [['created__isnull=1'], ['created__isnull=true']],
    [['created__gte=2024-02-29T12:00:00.000001+0000'], ['created__gte=2024-02-29T12:00:00.000001Z']],
    [['created__gt=2024-02-29 12:00:00 UTC'], ['created__gt=2024-02-29T12:00:00Z']],
    [['created__gt=2024-02-29T13:00:00 0100'], ['created__gt=2024-02-29T12:00:00Z']],
    [['created__lte=Thu Feb 29 2024 12:00:00 GMT+0000 (UTC)'], ['created__lte=2024-02-29T12:00:00Z']],
    [['created__lt=2024-02-29T12:00:00'], ['created__lt=2024-02-29T12:00:00Z']],
  ])('%j means %j', async (given, meant) => {
    const ids = await found(...meant);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.length).toBeLessThan(stored.length);
    expect(await found(...given)).toEqual(ids);
  });

  test('an unencoded plus sign in a time', async () => {
    const { body } = await api.get(`${sessionsPath}?limit=1000&created__gte=2024-02-29T12:00:00.5+0000`).expect(200);
    const ids = body.results.map(({ id }: Stored) => id).sort();
    expect(ids).toEqual(await found('created__gte=2024-02-29T12:00:00.5Z'));
  });

  test('page links keep the spelling of the request', async () => {
    const { body } = await api.get(`${sessionsPath}?limit=1&mode[]=setup&mode[]=payment`).expect(200);
    const { searchParams } = new URL(body.next);
    expect(searchParams.getAll('mode[]')).toEqual(['setup', 'payment']);
    const path = body.next.slice(body.next.indexOf(sessionsPath));
    expect((await api.get(path).expect(200)).body.results).toHaveLength(1);
  });
});

describe('the email filter matches the prefilled and the typed address:', () => {
  const address = 'Somebody.New@Example.com';
  const path = (id: string) => `${sessionsPath}/${encodeURIComponent(id)}`;

  test('after POST, PUT, PATCH and DELETE', async () => {
    const { body } = await api
      .post(sessionsPath)
      .send(sessionBody({ id: 'addressed', customer_email: address }))
      .expect(201);
    expect(await found('email=somebody.new@example.com')).toEqual([body.id]);
    await api.patch(path(body.id)).send({ customer_email: 'Other@example.com' }).expect(200);
    expect(await found('email=somebody.new@example.com')).toEqual([]);
    expect(await found('email=OTHER@example.com', 'mode=payment', 'ordering=id')).toEqual([body.id]);
    await api
      .put(path(body.id))
      .send(sessionBody({ id: body.id, customer_email: address }))
      .expect(200);
    expect(await found('email=SOMEBODY.NEW@example.com')).toEqual([body.id]);
    await api.delete(path(body.id)).expect(204);
    expect(await found('email=somebody.new@example.com')).toEqual([]);
  });

  test('an empty address matches nothing', async () => {
    expect(await found('email=')).toEqual([]);
    expect(await found('email__in=,nobody')).toEqual([]);
  });

  test('an address of any length', async () => {
    const long = `${'Ⱥ'.repeat(400)}@example.com`;
    for (const typed of [long, 'ä'.repeat(2000), `${'x'.repeat(600)}@example.com`]) {
      const raw = JSON.stringify({ customer_details: { email: typed } });
      await api
        .post(sessionsPath)
        .send(sessionBody({ id: 'addressed' }))
        .expect(201);
      await database.query({
        text: `UPDATE checkout_session SET stripe_data = $1 WHERE id = 'addressed'`,
        values: [raw],
      });
      expect(await found(['email', typed])).toEqual(['addressed']);
      await api.delete(path('addressed')).expect(204);
    }
  });

  test('combined with pages, counts and other filters', async () => {
    const ids = await found('email=guest@example.com');
    const { body: first } = await api
      .get(`${sessionsPath}?email=guest@example.com&limit=2&count=exact&ordering=id`)
      .expect(200);
    expect(first.count).toBe(ids.length);
    const seen: string[] = [];
    for (let page = first; ; ) {
      seen.push(...page.results.map(({ id }: Stored) => id));
      if (!page.next) break;
      page = (await api.get(page.next.slice(page.next.indexOf(sessionsPath))).expect(200)).body;
    }
    expect(seen.sort()).toEqual(ids);
    const complete = idsWhere(({ id, status }) => ids.includes(id) && status === 'complete');
    expect(await found('email=guest@example.com', 'status=complete')).toEqual(complete);
    await api.get(`${sessionsPath}?email=guest@example.com&count=estimated`).expect(200);
  });
});

describe('an invalid value is a fault of its parameter:', () => {
  test.each(badValues)('%s', async (name, values) => {
    for (const value of values) {
      const faults = await faultsOf(`${new URLSearchParams([[name, value]])}`);
      expect(faults, value).toMatchObject([{ in: 'query', pointer: `/${name}` }]);
      expect(faults[0]?.detail).toContain(allowed[name] ?? 'must be');
    }
  });
});

describe('a repeated parameter is refused:', () => {
  const examplesOnce = parameters
    .filter((name) => !name.endsWith('__in'))
    .map((name): [string, string] => [name, [examples[name]?.[0] ?? ''].flat()[0] as string]);
  const settings: [string, string][] = [
    ['limit', '5'],
    ['ordering', 'id'],
    ['count', 'exact'],
    ['metadata[a]', '1'],
  ];
  test.each([...examplesOnce, ...settings])('%s', async (name, value) => {
    const faults = await faultsOf(`${new URLSearchParams(Array(2).fill([name, value]))}`);
    expect(faults).toMatchObject([{ in: 'query', pointer: `/${name}`, detail: expect.stringContaining('once') }]);
  });
});

describe('U+0000 in a query is a fault of its parameter:', () => {
  test.each([...textColumns, 'id', 'payment_method_types__contains', 'customer__in', 'created', 'mode', 'limit'])(
    'in %s',
    async (name) => {
      expect(await faultsOf(`${name}=a%00b`)).toMatchObject([{ in: 'query', pointer: `/${name}` }]);
    },
  );
  test.each(['startswith', 'iexact', 'icontains', 'in'])('in customer__%s', async (lookup) => {
    expect(await faultsOf(`customer__${lookup}=%00`)).toMatchObject([{ pointer: `/customer__${lookup}` }]);
  });
  test.each(['cursor=%00', 'metadata[a]=%00', 'metadata[a%00b]=1', 'a%00b=1', 'customer__in=a&customer__in=%00'])(
    '%s',
    async (query) => {
      expect(await faultsOf(query)).toHaveLength(1);
    },
  );
});

test.each([
  'customer=%',
  'customer=%zz',
  'customer=%ff',
  'customer=%ED%A0%80',
  '%ff=1',
  'customer',
  '&&&',
  'customer=a=b',
])('an oddly written query never causes a 5xx: %s', async (query) => {
  const { status, body } = await api.get(`${sessionsPath}?${query}`);
  expect([200, 400]).toContain(status);
  if (status === 200 && query !== '&&&') expect(body.results.length).toBeLessThan(stored.length);
});

test('all faults of a query are reported in one answer', async () => {
  const problem = expectProblem(
    await api.get(
      `${sessionsPath}?limit=0&ordering=x&count=y&custmer=1&mode=foo&created=soon&djstripe_id=a&cursor=zzz` +
        '&livemode__isnull=2&customer=a&customer=b&payment_intent=%00&metadata[a/b]=1&metadata[a/b]=2',
    ),
    400,
    'invalid-request',
  );
  const pointers = problem.errors.map(({ pointer }: { pointer: string }) => pointer).sort();
  expect(pointers).toEqual(
    [
      ...['/limit', '/ordering', '/count', '/custmer', '/mode', '/created', '/djstripe_id', '/cursor'],
      ...['/livemode__isnull', '/customer', '/payment_intent', '/metadata[a~1b]'],
    ].sort(),
  );
  expect(problem.detail).toContain('12');
});

test('the detail of a single fault includes its suggestion', async () => {
  const problem = expectProblem(await api.get(`${sessionsPath}?custmer=1`), 400, 'invalid-request');
  expect(problem.detail).toContain('custmer');
  expect(problem.detail).toContain('did you mean customer?');
});
