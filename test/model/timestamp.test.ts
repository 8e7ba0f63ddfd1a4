import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLenientTimestamp, parseTimestamp } from '../../src/model/timestamp.js';

describe('a date-time is converted to UTC', () => {
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

describe('six fractional digits of a second are kept', () => {
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

describe('the year in UTC must be 0001 to 9999', () => {
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

describe('the strict parser refuses text that is no RFC 3339 date-time', () => {
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

describe('the lenient parser also accepts spellings that clients send', () => {
  test.each([
    ['2026-01-31', '2026-01-31T00:00:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['2026-01-31T12:00:00+01:00', '2026-01-31T11:00:00Z'],
    // openapi-generator's Python client, with and without an encoded `+`.
    ['2026-01-31T12:00:00.000001+0000', '2026-01-31T12:00:00.000001Z'],
    ['2026-01-31T12:00:00.000001 0000', '2026-01-31T12:00:00.000001Z'],
    ['2026-01-31T12:00:00 05:30', '2026-01-31T06:30:00Z'],
    // Ruby's Time#to_s.
    ['2026-01-31 12:00:00 UTC', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00 -0800', '2026-01-31T20:00:00Z'],
    ['2026-01-31 12:00:00  0100', '2026-01-31T11:00:00Z'],
    // Python's str().
    ['2026-01-31 12:00:00.5+00:00', '2026-01-31T12:00:00.5Z'],
    // JavaScript's Date#toString.
    ['Sat Jan 31 2026 12:00:00 GMT+0000 (Coordinated Universal Time)', '2026-01-31T12:00:00Z'],
    ['Sat Jan 31 2026 12:00:00 GMT 0530 (India Standard Time)', '2026-01-31T06:30:00Z'],
    ['Sat Jan 31 2026 12:00:00 GMT-0800', '2026-01-31T20:00:00Z'],
    // Without a zone: UTC, as in Django's default settings.
    ['2026-01-31T12:00:00', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00.123456', '2026-01-31T12:00:00.123456Z'],
    ['2026-01-31 12:00', '2026-01-31T12:00:00Z'],
    ['2026-01-31T12:00Z', '2026-01-31T12:00:00Z'],
    ['2026-01-31T12:00:00+01', '2026-01-31T11:00:00Z'],
    ['2026-01-31T12:00:00 GMT', '2026-01-31T12:00:00Z'],
  ])('%j is %s', (text, utc) => {
    expect(parseLenientTimestamp(text)).toBe(utc);
  });
});

describe('the lenient parser refuses text that is no time', () => {
  test.each([
    ...['', ' ', 'now', '5', '1706702400', '2026', '2026-01', '2026-1-1', '2026-02-29', '0000-01-01', '2026-01-31\n'],
    ...['2026-01-31T', '2026-01-31 12', '2026-01-31T12:00:00 CET', '2026-01-31T12:00:00+1', '2026-01-31T12:00:00+010'],
    ...['2026-01-31T12:00:00+00:00 UTC', '2026-01-31  12:00:00', '2026-01-31UTC', '2026-01-31+0000', '31.01.2026'],
    ...['2026-01-31T12:00:00+24:00', '2026-01-31T24:00', '2026-01-31 12:60', '2026-01-31T12:00:00.+0000'],
    ...['Sat Foo 31 2026 12:00:00 GMT+0000', 'Sat Feb 30 2026 12:00:00 GMT+0000', 'Sat Jan 31 2026', 'Invalid Date'],
    ...['Sat Jan 31 2026 12:00:00', 'Xxx Jan 31 2026 12:00:00 GMT+0000', 'Sat Jan 31 12:00:00 GMT+0000 2026'],
    ...['Sat Jan 31 2026 12:00:00 GMT+0000 (a) (b)', 'Sat Jan 31 99999 12:00:00 GMT+0000'],
  ])('%j', (text) => {
    expect(parseLenientTimestamp(text)).toBeUndefined();
  });
});

const two = (number: number) => String(number).padStart(2, '0');
const offset = fc
  .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map(([sign, hours, minutes]) => `${sign}${two(hours)}:${two(minutes)}`);

test('parseTimestamp agrees with Date on every moment and offset', () => {
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

test('the strict parser accepts exactly the days and times that exist', () => {
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

test('a parsed date-time parses again to itself', () => {
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

test('the lenient parser keeps the microseconds of every spelling of a moment', () => {
  const moments = fc.tuple(
    fc.date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true }),
    fc.stringMatching(/^[0-9]{6}$/),
  );
  fc.assert(
    fc.property(moments, offset, fc.constantFrom('T', ' ', 't'), ([moment, digits], zone, between) => {
      const [date, time = ''] = moment.toISOString().split('T');
      const local = `${date}${between}${time.slice(0, 8)}.${digits}`;
      const strict = parseTimestamp(`${date}T${time.slice(0, 8)}.${digits}${zone}`);
      const spaced = zone.replace('+', ' ');
      for (const spelling of [zone, zone.replace(':', ''), ` ${zone}`, spaced, spaced.replace(':', '')]) {
        expect(parseLenientTimestamp(`${local}${spelling}`), spelling).toBe(strict);
      }
      const utc = parseTimestamp(`${date}T${time.slice(0, 8)}.${digits}Z`);
      for (const spelling of ['', 'Z', ' UTC', 'UTC', '+0000', ' 00:00', '-00']) {
        expect(parseLenientTimestamp(`${local}${spelling}`), spelling).toBe(utc);
      }
    }),
  );
});

// Before 1972 time-zone offsets could include seconds.
test("the lenient parser reads Date's own string to the second", () => {
  const moments = fc.date({ min: new Date('1980-01-01Z'), max: new Date('9999-12-30Z'), noInvalidDate: true });
  fc.assert(
    fc.property(moments, (moment) => {
      expect(parseLenientTimestamp(String(moment))).toBe(`${moment.toISOString().slice(0, 19)}Z`);
    }),
  );
});

test('the lenient parser returns a valid strict date-time or nothing, for any text', () => {
  const pieces = [
    '2026-01-31',
    '0000',
    '9999-12-31',
    'T',
    ' ',
    '12:00',
    ':60',
    '.5',
    'Z',
    'UTC',
    'GMT',
    '+',
    '-',
    '00:00',
  ];
  const words = fc.constantFrom(...pieces, 'Sat', 'Jan', '31', '2026', '23:59:60', '(', ')', '1400', '\u0000', '😀');
  const texts = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 9 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const utc = parseLenientTimestamp(text);
      if (utc === undefined) expect(parseTimestamp(text)).toBeUndefined();
      else expect(parseTimestamp(utc)).toBe(utc);
    }),
    { numRuns: 5000 },
  );
});
