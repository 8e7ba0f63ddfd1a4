import { Type } from 'typebox';
import type { Fault } from '../errors.js';
import { pointerTo, textFault } from './json.js';
import { queryEntries, unknownParameterHint } from './query-names.js';
import type { Parsed } from './session-request.js';
import { parseTimestamp } from './timestamp.js';

/** The daily statistics of the sessions: the query and the response. */

export interface StatisticsQuery {
  /** The days to count, such as `2026-11-28`, newest first. */
  readonly days: readonly string[];
  /** True counts live sessions, false test sessions. Undefined counts all, also those of unknown mode. */
  readonly livemode: boolean | undefined;
}

const defaultDays = 30;
const maxDays = 90;

/** The first day of a query. Stripe has no older sessions. */
const firstDay = '1970-01-01';

export const statisticsParameters = Type.Object({
  days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxDays,
      description: `The number of days to count, back from \`until\`. The default is ${defaultDays}.`,
    }),
  ),
  until: Type.Optional(
    Type.String({
      description: `The newest day to count, as \`2026-01-31\`. The earliest possible day is ${firstDay}. The default is today in UTC.`,
    }),
  ),
  livemode: Type.Optional(
    Type.Boolean({
      description:
        'Counts only live sessions (`true`) or only test sessions (`false`). By default it counts all sessions.',
    }),
  ),
});

const names = Object.keys(statisticsParameters.properties);

const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** Parses the query string. Reports every fault. */
export function parseStatisticsQuery(query: unknown, now = new Date()): Parsed<StatisticsQuery> {
  const faults: Fault[] = [];
  const texts: Record<string, string> = {};
  for (const [name, value] of queryEntries(query)) {
    const fault = (detail: string) => faults.push({ in: 'query', pointer: pointerTo('', name), detail });
    const badText = [name, ...[value].flat()].map(textFault).find(Boolean);
    if (badText) fault(badText);
    else if (!names.includes(name)) fault(`is not a parameter of this operation${unknownParameterHint(name, names)}`);
    else if (typeof value !== 'string') fault('is given more than once');
    else texts[name] = value;
  }
  const { days = String(defaultDays), until = now.toISOString().slice(0, 10), livemode } = texts;
  const fault = (name: string, detail: string) => faults.push({ in: 'query', pointer: `/${name}`, detail });
  const count = Number(days);
  if (!/^\d+$/.test(days) || count < 1 || count > maxDays) fault('days', `must be an integer from 1 to ${maxDays}`);
  if (!isDay(until)) fault('until', `must be a date from ${firstDay} to 9999-12-31, such as 2026-01-31`);
  const isLive = livemode === undefined ? undefined : booleans.get(livemode);
  if (livemode !== undefined && isLive === undefined) fault('livemode', 'must be true or false');
  return faults.length > 0 ? { faults } : { value: { days: daysUntil(until, count), livemode: isLive } };
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && text >= firstDay && parseTimestamp(`${text}T00:00:00Z`) !== undefined;
}

const dayMs = 24 * 3_600_000;

/** Returns `count` days that end with `until`, newest first. */
function daysUntil(until: string, count: number): string[] {
  const newest = Date.parse(`${until}T00:00:00Z`);
  return Array.from({ length: count }, (_, index) => new Date(newest - index * dayMs).toISOString().slice(0, 10));
}

const sessionCount = (description: string, example: number) =>
  Type.Integer({ format: 'int64', minimum: 0, description, examples: [example] });

const PaidAmount = Type.Object(
  {
    currency: Type.String({ description: 'The ISO 4217 code of the currency, in lower case.', examples: ['usd'] }),
    sessions: sessionCount('The number of sessions paid in this currency.', 12),
    amount_total: Type.Integer({
      format: 'int64',
      description:
        'The sum of the `amount_total` of these sessions, in the smallest unit of the currency. It includes discounts and taxes, but no refunds.',
      examples: [26_376],
    }),
  },
  { $id: 'PaidAmount', description: 'The amount that customers paid in one currency.' },
);

/** The payment states, with the schema of each count. Every session has exactly one payment state. */
const stateCounts = {
  paid: sessionCount('The number of paid sessions.', 12),
  no_payment_required: sessionCount(
    'The number of sessions that are complete and needed no payment, such as a setup or a free trial.',
    1,
  ),
  unpaid: sessionCount(
    'The number of complete sessions that are not paid: the payment is pending, or it failed. In Stripe API versions without `status`, open sessions count here too.',
    1,
  ),
  open: sessionCount('The number of open sessions, with any `payment_status`.', 2),
  expired: sessionCount('The number of expired sessions.', 1),
  unknown: sessionCount(
    'The number of sessions without a known state, usually because the service has no Stripe object for them.',
    0,
  ),
};

/** The names of the payment states. The database derives the state of each session. */
export const paymentStates = Object.keys(stateCounts);

const DayStatistics = Type.Object(
  {
    date: Type.String({ format: 'date', description: 'The day in UTC.', examples: ['2026-11-28'] }),
    sessions: sessionCount('The number of sessions that Stripe created on this day.', 17),
    ...stateCounts,
    amounts: Type.Array(Type.Ref('PaidAmount#'), {
      description: 'The amounts that customers paid for the sessions of this day, one for each currency.',
    }),
  },
  {
    $id: 'DayStatistics',
    description: 'The sessions that Stripe created on one day, counted by their current state.',
  },
);

const DailyStatistics = Type.Object(
  {
    days: Type.Array(Type.Ref('DayStatistics#'), { description: 'The counted days, newest first.' }),
    left_out: Type.Array(Type.String({ format: 'date' }), {
      description:
        'The requested days that the service did not count because counting took too long, newest first. They are the oldest days of the request. Usually the list is empty. Request them with `until`.',
    }),
  },
  { $id: 'DailyStatistics', description: 'The sessions of several days, counted by day and state.' },
);

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const statisticsComponents = [PaidAmount, DayStatistics, DailyStatistics];
