/**
 * Parses timestamps of requests, which are RFC 3339. They stay text: PostgreSQL stores microseconds, and a JavaScript
 * Date holds milliseconds only.
 */

const pattern = /^((\d{4})-(\d\d)-(\d\d))[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** The last second that RFC 3339 can express, 9999-12-31T23:59:59Z, in epoch seconds. */
export const lastEpochSecond = 253_402_300_799;

/** Returns the number of days in a month. `month` is 1 to 12. */
function daysIn(month: number, year: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/**
 * Parses an RFC 3339 date-time. A leap second becomes the next second.
 *
 * @returns the time in UTC with at most six decimals, `2026-01-31T12:00:00.000001Z`. Undefined if the text is not a
 *   date-time, or if its year in UTC is outside 0001 to 9999, which RFC 3339 cannot express.
 */
export function parseTimestamp(text: string): string | undefined {
  const parts = pattern.exec(text);
  if (!parts) return undefined;
  const [, date, , , , , , , fraction = '', sign] = parts;
  const [year, month, day] = [Number(parts[2]), Number(parts[3]), Number(parts[4])];
  const [hour, minute, second] = [Number(parts[5]), Number(parts[6]), Number(parts[7])];
  const [offsetHour, offsetMinute] = [Number(parts[10] ?? 0), Number(parts[11] ?? 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(month, year)) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const offset = 60 * offsetHour + offsetMinute;
  const decimals = fraction && `.${fraction.slice(0, 6)}`;
  // Fast path: nearly all timestamps are in UTC.
  if (offset === 0 && second < 60 && year > 0) return `${date}T${parts[5]}:${parts[6]}:${parts[7]}${decimals}Z`;
  const minutes = 60 * hour + minute - (sign === '-' ? -offset : offset);
  const utc = new Date(Date.parse(`${date}T00:00:00Z`) + 60_000 * minutes + 1000 * second);
  const utcYear = utc.getUTCFullYear();
  if (utcYear < 1 || utcYear > 9999) return undefined;
  return `${utc.toISOString().slice(0, 19)}${decimals}Z`;
}

/** Matches ISO 8601 as Python, Ruby and Django write it, and with a space where a query string decoded `+`. */
const isoPattern =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(?: ?(?:[Zz]|UTC|GMT)| ?([+ -])(\d\d):?(\d\d)?)?)?$/;

/** Matches JavaScript's `Date#toString`: `Sat Jan 31 2026 12:00:00 GMT+0000 (Coordinated Universal Time)`. */
const datePattern =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\w{3}) (\d\d) (\d{4}) (\d\d:\d\d:\d\d) GMT([+ -])(\d\d)(\d\d)(?: \([^()]*\))?$/;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * Parses a time in a query string. Accepts what {@link parseTimestamp} accepts, and the other forms that clients send: a
 * date alone (midnight), a space instead of `T`, no seconds, `+0000`, a space instead of that `+`, `UTC`, and the output
 * of JavaScript's `Date#toString`. A time without a zone is UTC, as in a Django project with TIME_ZONE UTC.
 *
 * @returns the time as {@link parseTimestamp} does, or undefined if the text is not a time.
 */
export function parseLenientTimestamp(text: string): string | undefined {
  const iso = isoPattern.exec(text);
  if (iso) {
    const [, date, time = '00:00', second = ':00', sign, hours, minutes = '00'] = iso;
    return parseTimestamp(`${date}T${time}${second}${offsetOf(sign, hours, minutes)}`);
  }
  const [, month = '', day, year, time, sign, hours, minutes] = datePattern.exec(text) ?? [];
  const number = String(months.indexOf(month) + 1).padStart(2, '0');
  return parseTimestamp(`${year}-${number}-${day}T${time}${offsetOf(sign, hours, minutes)}`);
}

/** Formats a UTC offset for RFC 3339. Any sign but `-` is `+`, also the space of a decoded query string. */
function offsetOf(sign: string | undefined, hours = '00', minutes = '00'): string {
  return sign === undefined ? 'Z' : `${sign === '-' ? '-' : '+'}${hours}:${minutes}`;
}
