import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTimestamp, parseTimestampOrDate } from '../../src/model/timestamp.js';

describe('a date-time becomes UTC', () => {
  test.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z'],
    ['2026-01-31t12:00:00z', '2026-01-31T12:00:00Z'],
    ['2026-01-31T12:00:00+00:00', '2026-01-31T12:00:00Z'],
    ['2026-01-31T12:00:00-00:00', '2026-01-31T12:00:00Z'],
    ['2026-01-31T01:30:00+05:30', '2026-01-30T20:00:00Z'],
    ['2026-12-31T20:00:00-08:00', '2027-01-01T04:00:00Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00Z'],
    ['2026-01-31T12:00:00+23:59', '2026-01-30T12:01:00Z'],
  ])('%s is %s', (text, utc) => {
    expect(parseTimestamp(text)).toBe(utc);
  });
});

describe('of a second, six digits are kept', () => {
  test.each([
    ['2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00.5Z'],
    ['2026-01-31T12:00:00.000001Z', '2026-01-31T12:00:00.000001Z'],
    ['2026-01-31T12:00:00.123456+01:00', '2026-01-31T11:00:00.123456Z'],
    ['2026-01-31T23:59:59.9999999Z', '2026-01-31T23:59:59.999999Z'],
  ])('%s is %s', (text, utc) => {
    expect(parseTimestamp(text)).toBe(utc);
  });
});

test('a leap second counts as the next second', () => {
  expect(parseTimestamp('2016-12-31T23:59:60Z')).toBe('2017-01-01T00:00:00Z');
  expect(parseTimestamp('2017-01-01T05:29:60+05:30')).toBe('2017-01-01T00:00:00Z');
});

describe('the year in UTC is 0001 to 9999', () => {
  test.each([
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['0000-12-31T23:59:00-00:01', '0001-01-01T00:00:00Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
    ['0001-01-01T00:00:00+00:01', undefined],
    ['0000-12-31T23:59:59Z', undefined],
    ['9999-12-31T23:59:59-00:01', undefined],
    ['9999-12-31T23:59:60Z', undefined],
    ['10000-01-01T00:00:00Z', undefined],
    ['-0001-01-01T00:00:00Z', undefined],
  ])('%s is %s', (text, utc) => {
    expect(parseTimestamp(text)).toBe(utc);
  });
});

describe('what is no RFC 3339 date-time is refused', () => {
  test.each([
    ...['', 'now', 'infinity', '1706702400', '2026-01-31', '12:00:00Z', '2026-01-31T12:00:00', '2026-01-31T12:00Z'],
    ...['2026-01-31 12:00:00Z', ' 2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z ', '2026-01-31T12:00:00Z\n'],
    ...['2026-1-31T12:00:00Z', '26-01-31T12:00:00Z', '20260131T120000Z', '2026-W05-6T12:00:00Z'],
    ...['2026-01-31T12:00:00.Z', '2026-01-31T12:00:00,5Z', '2026-01-31T12:00:00+0100', '2026-01-31T12:00:00+01'],
    ...['2026-01-31T12:00:00+01:60', '2026-01-31T12:00:00+24:00', '2026-01-31T24:00:00Z', '2026-01-31T12:60:00Z'],
    ...['2026-01-31T12:00:61Z', '2026-02-29T12:00:00Z', '2026-02-30T12:00:00Z', '1900-02-29T00:00:00Z'],
    ...['2026-00-01T12:00:00Z', '2026-13-01T12:00:00Z', '2026-01-00T12:00:00Z', '2026-04-31T12:00:00Z'],
    ...['２０２６-01-31T12:00:00Z', '2026-01-31T12:00:00ZZ', '2026-01-31T12:00:00Z+01:00', '2026-01-31TZ'],
  ])('%j', (text) => {
    expect(parseTimestamp(text)).toBeUndefined();
  });
});

describe('a filter also takes a date', () => {
  test.each([
    ['2026-01-31', '2026-01-31T00:00:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['2026-01-31T12:00:00+01:00', '2026-01-31T11:00:00Z'],
    ['2026-02-29', undefined],
    ['0000-01-01', undefined],
    ['2026-1-1', undefined],
    ['2026-01', undefined],
    ['2026-01-31\n', undefined],
  ])('%j is %s', (text, utc) => {
    expect(parseTimestampOrDate(text)).toBe(utc);
  });
});

const two = (number: number) => String(number).padStart(2, '0');
const offset = fc
  .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map(([sign, hours, minutes]) => `${sign}${two(hours)}:${two(minutes)}`);

test('every moment with every offset is the moment that Date reads', () => {
  const local = fc.date({
    min: new Date('0000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(local, fc.oneof(offset, fc.constant('Z')), (moment, zone) => {
      const text = `${moment.toISOString().slice(0, -1)}${zone}`;
      const utc = new Date(text).toISOString();
      const writable = /^(?!0000)\d{4}-/.test(utc);
      expect(parseTimestamp(text)).toBe(writable ? utc : undefined);
    }),
    { numRuns: 2000 },
  );
});

test('digits that stand for no day or time are refused, those that do are not', () => {
  const upTo = (max: number) => fc.integer({ min: 0, max });
  const digits = fc.tuple(fc.integer({ min: 1, max: 9998 }), upTo(13), upTo(32), upTo(25), upTo(61), upTo(61));
  fc.assert(
    fc.property(digits, ([year, month, day, hour, minute, second]) => {
      const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
      const days = [0, 31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month] ?? 0;
      const exists = day >= 1 && day <= days && hour <= 23 && minute <= 59 && second <= 60;
      const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
      expect(parseTimestamp(`${date}T${two(hour)}:${two(minute)}:${two(second)}Z`) !== undefined).toBe(exists);
    }),
    { numRuns: 2000 },
  );
});

test('what was read is read again as the same', () => {
  const fraction = fc.stringMatching(/^[0-9]{1,12}$/);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_399 }), fraction, offset, (seconds, digits, zone) => {
      const time = new Date(1000 * seconds).toISOString().slice(11, 19);
      const utc = parseTimestamp(`2024-02-29T${time}.${digits}${zone}`);
      expect(utc).toMatch(/^2024-(02-28|02-29|03-01)T\d\d:\d\d:\d\d\.\d{1,6}Z$/);
      expect(parseTimestamp(utc as string)).toBe(utc);
    }),
  );
});
