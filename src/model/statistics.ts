import { Type } from 'typebox';
import type { Fault } from '../errors.js';
import { pointerTo, textFault } from './json.js';
import { queryEntries, unknownParameterHint } from './query-names.js';
import type { Parsed } from './session-request.js';
import { parseTimestamp } from './timestamp.js';

/** The statistics of the sessions by day: what is asked for, and what is answered. */

export interface StatisticsQuery {
  /** The days to count, newest first, as `2026-11-28`. */
  readonly days: readonly string[];
  /** Live sessions or those of test mode; both, and those of unknown mode, when undefined. */
  readonly livemode: boolean | undefined;
}

const defaultDays = 30;
const maxDays = 90;

/** The first day that can be asked for; Stripe has no sessions before it. */
const firstDay = '1970-01-01';

export const statisticsParameters = Type.Object({
  days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxDays,
      description: `How many days to count, back from \`until\`; ${defaultDays} when absent.`,
    }),
  ),
  until: Type.Optional(
    Type.String({
      description: `The newest day, a date from ${firstDay} on: \`2026-01-31\`. Today in UTC when absent.`,
    }),
  ),
  livemode: Type.Optional(
    Type.Boolean({ description: 'Count live sessions (true) or those of test mode (false) alone.' }),
  ),
});

const names = Object.keys(statisticsParameters.properties);

const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** Reads the query string; every fault is reported. */
export function parseStatisticsQuery(query: unknown, now = new Date()): Parsed<StatisticsQuery> {
  const faults: Fault[] = [];
  const texts: Record<string, string> = {};
  for (const [name, given] of queryEntries(query)) {
    const fault = (detail: string) => faults.push({ in: 'query', pointer: pointerTo('', name), detail });
    const badText = [name, ...[given].flat()].map(textFault).find(Boolean);
    if (badText) fault(badText);
    else if (!names.includes(name)) fault(`is not a parameter of this operation${unknownParameterHint(name, names)}`);
    else if (typeof given !== 'string') fault('is given more than once');
    else texts[name] = given;
  }
  const { days = String(defaultDays), until = now.toISOString().slice(0, 10), livemode } = texts;
  const fault = (name: string, detail: string) => faults.push({ in: 'query', pointer: `/${name}`, detail });
  const count = Number(days);
  if (!/^\d+$/.test(days) || count < 1 || count > maxDays) fault('days', `must be an integer from 1 to ${maxDays}`);
  if (!isDay(until)) fault('until', `must be a date from ${firstDay} to 9999-12-31, as 2026-01-31`);
  const isLive = livemode === undefined ? undefined : booleans.get(livemode);
  if (livemode !== undefined && isLive === undefined) fault('livemode', 'must be true or false');
  return faults.length > 0 ? { faults } : { value: { days: daysUntil(until, count), livemode: isLive } };
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && text >= firstDay && parseTimestamp(`${text}T00:00:00Z`) !== undefined;
}

const dayMs = 24 * 3_600_000;

/** Returns so many days, newest first. */
function daysUntil(until: string, count: number): string[] {
  const newest = Date.parse(`${until}T00:00:00Z`);
  return Array.from({ length: count }, (_, index) => new Date(newest - index * dayMs).toISOString().slice(0, 10));
}

const sessionCount = (description: string, example: number) =>
  Type.Integer({ format: 'int64', minimum: 0, description, examples: [example] });

const PaidAmount = Type.Object(
  {
    currency: Type.String({ description: 'ISO 4217, in lower case.', examples: ['usd'] }),
    sessions: sessionCount('How many sessions were paid in this currency.', 12),
    amount_total: Type.Integer({
      format: 'int64',
      description:
        'Their `amount_total` together, in the smallest unit of the currency: after discounts and taxes, before refunds.',
      examples: [26_376],
    }),
  },
  { $id: 'PaidAmount', description: 'What was paid in one currency.' },
);

/** The states of a session, each with what it means. Every session has exactly one. */
const stateCounts = {
  paid: sessionCount('Paid.', 12),
  no_payment_required: sessionCount('Complete without a payment, as a setup or a free trial is.', 1),
  unpaid: sessionCount('Complete, and not paid yet or no more; in API versions without a status also open.', 1),
  open: sessionCount('Open, whatever the payment.', 2),
  expired: sessionCount('Expired.', 1),
  unknown: sessionCount('Without a state: nothing came from Stripe for them.', 0),
};

/** The names of the states, as the database derives them. */
export const paymentStates = Object.keys(stateCounts);

const DayStatistics = Type.Object(
  {
    date: Type.String({ format: 'date', description: 'The day, in UTC.', examples: ['2026-11-28'] }),
    sessions: sessionCount('How many sessions Stripe created on this day.', 17),
    ...stateCounts,
    amounts: Type.Array(Type.Ref('PaidAmount#'), {
      description: 'What was paid for the sessions of this day, by currency.',
    }),
  },
  {
    $id: 'DayStatistics',
    description: 'The sessions that Stripe created on one day, by the state that they have now.',
  },
);

const DailyStatistics = Type.Object(
  {
    days: Type.Array(Type.Ref('DayStatistics#'), { description: 'The days that were counted, newest first.' }),
    left_out: Type.Array(Type.String({ format: 'date' }), {
      description:
        'The older days that were asked for and not counted, because counting took too long; newest first, usually none. Ask for them with `until`.',
    }),
  },
  { $id: 'DailyStatistics', description: 'The sessions of some days.' },
);

/** What the OpenAPI document publishes of this file, by `$id`. */
export const statisticsComponents = [PaidAmount, DayStatistics, DailyStatistics];
