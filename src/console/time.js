/** Formats times for people. */

const relativeFormat = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** The units of a relative time, and their seconds. @type {[unit: Intl.RelativeTimeFormatUnit, seconds: number][]} */
const units = [
  ['year', 365.25 * 86_400],
  ['month', 30.4 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** Formats a time relative to now: `3 hours ago`, `in 2 hours`. Both times are in milliseconds. @param {number} time @param {number} now */
export function relativeTime(time, now) {
  const seconds = (time - now) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 45) return seconds > 5 ? 'in a moment' : 'just now';
  // Round up from 92% of a unit: 56 minutes are an hour.
  const [unit, length] = units.find(([, size]) => distance >= size * 0.92) ?? ['minute', 60];
  return relativeFormat.format(Math.sign(seconds) * Math.max(1, Math.round(distance / length)), unit);
}

const exactFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const utcFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' });

/** Formats a time to the second, in the reader's time zone and in UTC. @param {number} time */
export function exactTime(time) {
  const [local, utc] = [exactFormat.format(time), utcFormat.format(time)];
  return local === utc ? `${utc} UTC` : `${local} local time, ${utc} UTC`;
}

const dayFormat = new Intl.DateTimeFormat('en-GB', {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  timeZone: 'UTC',
});
const shortDayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** Formats a date: `Sat 28 Nov`. @param {string} date */
export const dayName = (date) => dayFormat.format(Date.parse(`${date}T00:00:00Z`));

/** Formats a date without the day of the week: `28 Nov`. @param {string} date */
export const shortDayName = (date) => shortDayFormat.format(Date.parse(`${date}T00:00:00Z`));

/** Returns whether a text is an existing date, as `2026-11-28`. @param {string} text */
export function isDay(text) {
  const time = Date.parse(`${text}T00:00:00Z`);
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** Returns the next day. @param {string} date */
export const dayAfter = (date) => new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
