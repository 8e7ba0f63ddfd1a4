import { expect } from 'vitest';
import type { Answer } from '../conforms.js';
import { type Driver, paymentOf } from './driver.js';
import type { Fields, Json, ModelSession } from './mirror.js';
import type { RequestOf } from './requests.js';

/** Walks the pages of a list forwards and backwards, and expects the model's rows in order. */

type ListRow = ModelSession & { document: Fields };

const one = (text: string) => (row: Json | undefined) => row === text;
const isNull = (value: Json | undefined) => value === null;
/** Pads a time's fraction to six digits, so that times compare as text. */
const moment = (value: Json | undefined) =>
  String(value).replace(/(?:\.(\d+))?\+00:00$/, (_, digits = '') => `.${digits.padEnd(6, '0')}`);

/** For each filter the requests use, a function that returns whether a row matches. */
const predicates: Record<string, (row: Fields, held: ModelSession) => boolean> = {
  'customer=cus_1': (row) => row.customer === 'cus_1',
  'customer=': (row) => row.customer === '',
  'customer__in=cus_1,x': (row) => ['cus_1', 'x'].includes(row.customer as string),
  'customer__in=a%2Cb&customer__in=x': (row) => ['a,b', 'x'].includes(row.customer as string),
  'customer__isnull=true': (row) => isNull(row.customer),
  'mode=payment': (row) => row.mode === 'payment',
  'mode__in=setup,subscription': (row) => row.mode !== 'payment',
  'livemode=true': (row) => row.livemode === true,
  'livemode__isnull=true': (row) => isNull(row.livemode),
  'subscription__isnull=false': (row) => !isNull(row.subscription),
  'created__gte=2026-01-01': (row) => !isNull(row.created) && moment(row.created) >= '2026-01-01T00:00:00.000000',
  'created__lt=2026-01-01T00:00:00.000001Z': (row) =>
    !isNull(row.created) && moment(row.created) < '2026-01-01T00:00:00.000001',
  'created__isnull=false': (row) => !isNull(row.created),
  'success_url__startswith=https://': (row) => (row.success_url as string).startsWith('https://'),
  'locale__iexact=X': (row) => (row.locale as string).toLowerCase() === 'x',
  'description__icontains=x': (row) =>
    !isNull(row.description) && (row.description as string).toLowerCase().includes('x'),
  'cancel_url__startswith=%25': (row) => (row.cancel_url as string).startsWith('%'),
  'client_reference_id=a%2Cb': (row) => row.client_reference_id === 'a,b',
  'locale=_': (row) => row.locale === '_',
  'metadata%5Ba%5D=1': (row) => metadataIs(row, 'a', '1'),
  'metadata%5Border%20id%5D=x': (row) => metadataIs(row, 'order id', 'x'),
  'metadata%5Bb%5D=true': (row) => metadataIs(row, 'b', 'true'),
  'payment_method_types__contains=card': (row) => Object.values(row.payment_method_types as Fields).some(one('card')),
  'status=complete': (_row, { raw }) => raw?.status === 'complete',
  'payment_status__in=paid,unpaid': (_row, { raw }) => ['paid', 'unpaid'].includes(raw?.payment_status ?? ''),
  'status[]=open&status[]=expired': (_row, { raw }) => ['open', 'expired'].includes(raw?.status ?? ''),
  'email=GUEST@example.com': (row, held) => hasAddress(row, held, 'guest@example.com'),
  'email__in=x,guest@Example.com': (row, held) => ['x', 'guest@example.com'].some((one) => hasAddress(row, held, one)),
  'payment_link=plink_1': (_row, { raw }) => idOf(raw?.payment_link) === 'plink_1',
  'payment_link__isnull=true': (_row, { raw }) => isNull(idOf(raw?.payment_link)),
  'livemode=1': (row) => row.livemode === true,
  'created__gte=2026-01-31+12:00:00+UTC': (row) =>
    !isNull(row.created) && moment(row.created) >= '2026-01-31T12:00:00.000000',
  'id__startswith=cs_': (row) => (row.id as string).startsWith('cs_'),
};

const idOf = (value: Json | undefined): Json =>
  value !== null && typeof value === 'object' ? ((value as Fields).id as Json) : (value ?? null);

/** Returns whether a session has an address (in lower case), prefilled or typed at the checkout. */
function hasAddress({ customer_email }: Fields, { raw }: ModelSession, address: string): boolean {
  const details = raw?.customer_details as Fields | null | undefined;
  return [customer_email, details?.email].some((one) => String(one ?? '').toLowerCase() === address);
}

/** Compares a text, or the JSON text of a number or boolean. */
function metadataIs({ metadata }: Fields, key: string, text: string): boolean {
  if (metadata === null || !Object.hasOwn(metadata as Fields, key)) return false;
  const value = (metadata as Fields)[key] as Json;
  return value !== null && typeof value !== 'object' && String(value) === text;
}

const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right));

/** Returns a comparison for an ordering: nulls last in both directions, ties by id in the same direction. */
function compare(ordering: string): (left: ListRow, right: ListRow) => number {
  const column = ordering.replace(/^-/, '');
  const direction = ordering.startsWith('-') ? -1 : 1;
  return ({ document: left }, { document: right }) => {
    const [one, other] = [left[column] as Json, right[column] as Json];
    if (isNull(one) !== isNull(other)) return isNull(one) ? 1 : -1;
    const byValue =
      typeof one === 'number'
        ? one - (other as number)
        : column === 'id' || isNull(one)
          ? 0
          : byBytes(moment(one), moment(other));
    return direction * (byValue || byBytes(left.id as string, right.id as string));
  };
}

/** Returns the model's rows for a list. */
function expectedRows(driver: Driver, { filters, ordering = '-created', payment }: RequestOf<'list'>): Fields[] {
  const rows = [...driver.mirror.sessions.values()].map(
    (held): ListRow => ({ ...held, document: { ...held.fields, ...held.row } }),
  );
  return rows
    .filter((row) => filters.every((filter) => predicates[filter]?.(row.document, row)))
    .sort(compare(ordering))
    .map((row) => ({ ...row.document, ...(payment && { payment: paymentOf(row, driver.mirror) }) }));
}

interface Page {
  count: number | null;
  next: string | null;
  previous: string | null;
  results: Fields[];
}

/** Follows links in one direction until there is none. */
async function walk(driver: Driver, query: string, direction: 'next' | 'previous'): Promise<Page[]> {
  const pages: Page[] = [];
  for (let rest: string | undefined = query; rest !== undefined; ) {
    const answer: Answer = await driver.send('GET', '/api/checkout-sessions', '', { query: rest });
    expect(answer.status).toBe(200);
    const page = JSON.parse(answer.text) as Page;
    pages.push(page);
    const link = page[direction];
    rest = link === null ? undefined : new URL(link).search;
  }
  return pages;
}

export async function expectPages(driver: Driver, query: RequestOf<'list'>): Promise<void> {
  const rows = expectedRows(driver, query);
  const { filters, ordering, limit, payment } = query;
  const parameters = [...filters, `limit=${limit}`, 'count=exact'];
  if (ordering) parameters.push(`ordering=${ordering}`);
  if (payment) parameters.push('include=payment');
  const pages = await walk(driver, `?${parameters.join('&')}`, 'next');
  expect(pages.flatMap(({ results }) => results)).toEqual(rows);
  expect(new Set(pages.map(({ count }) => count))).toEqual(new Set([rows.length]));
  expect(pages.slice(0, -1).every(({ results }) => results.length === limit)).toBe(true);
  const last = pages.at(-1);
  if (!last?.previous) return;
  const back = await walk(driver, new URL(last.previous).search, 'previous');
  expect(back.reverse().flatMap(({ results }) => results)).toEqual(rows.slice(0, rows.length - last.results.length));
}
