/**
 * Timestamps as the wire has them: RFC 3339. PostgreSQL keeps microseconds, more than a JavaScript Date
 * does, so they stay text on their way through.
 */

const pattern = /^(\d{4}-\d\d-(\d\d))[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Reads an RFC 3339 date-time (a leap second counts as the next second).
 *
 * @returns it in UTC, `2026-01-31T12:00:00.000001Z`, with at most six digits of a second; undefined when it
 *   is none, or when its year in UTC is outside 0001 to 9999, which RFC 3339 cannot write.
 */
export function parseTimestamp(text: string): string | undefined {
  const parts = pattern.exec(text);
  if (!parts) return undefined;
  const [, date, day, , , , fraction = '', sign] = parts;
  const [hour, minute, second] = [Number(parts[3]), Number(parts[4]), Number(parts[5])];
  const [offsetHour, offsetMinute] = [Number(parts[8] ?? 0), Number(parts[9] ?? 0)];
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const offset = 60 * offsetHour + offsetMinute;
  const midnight = Date.parse(`${date}T00:00:00Z`);
  // Date.parse takes February 30th for March 2nd.
  if (Number.isNaN(midnight) || new Date(midnight).getUTCDate() !== Number(day)) return undefined;
  const decimals = fraction && `.${fraction.slice(0, 6)}`;
  // In UTC already, as nearly all come.
  if (offset === 0 && second < 60 && !date?.startsWith('0000')) {
    return `${date}T${parts[3]}:${parts[4]}:${parts[5]}${decimals}Z`;
  }
  const minutes = 60 * hour + minute - (sign === '-' ? -offset : offset);
  const utc = new Date(midnight + 60_000 * minutes + 1000 * second);
  const year = utc.getUTCFullYear();
  if (year < 1 || year > 9999) return undefined;
  return `${utc.toISOString().slice(0, 19)}${decimals}Z`;
}

/** As {@link parseTimestamp}, and a date alone is its midnight in UTC, as in Django's filters. */
export function parseTimestampOrDate(text: string): string | undefined {
  return parseTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
}
