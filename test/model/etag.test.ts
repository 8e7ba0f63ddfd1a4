import { describe, expect, test } from 'vitest';
import { Problem } from '../../src/errors.js';
import { isNotModified, parsePrecondition } from '../../src/model/etag.js';

describe('If-Match and If-None-Match parse to their list of tags', () => {
  test.each<[string, readonly string[] | '*']>([
    ['*', '*'],
    [' * ', '*'],
    ['"7-1"', ['"7-1"']],
    [' "7-1"\t', ['"7-1"']],
    ['"7-1", "7-2"', ['"7-1"', '"7-2"']],
    ['"7-1","7-2" ,\t"7-3"', ['"7-1"', '"7-2"', '"7-3"']],
    ['""', ['""']],
    ['"a,b", "*"', ['"a,b"', '"*"']],
    ['"!#$%&\'()[]{}~"', ['"!#$%&\'()[]{}~"']],
    ['"a\\"', ['"a\\"']],
    ['"é"', ['"é"']],
    ['"W/"', ['"W/"']],
  ])('%s', (header, tags) => {
    expect(parsePrecondition({ 'if-match': header }).match).toEqual(tags);
    expect(parsePrecondition({ 'if-none-match': header }).noneMatch).toEqual(tags);
  });
});

describe('a tag weakened by a proxy counts as the strong tag', () => {
  test.each<[string, readonly string[]]>([
    ['W/"7-1"', ['"7-1"']],
    ['W/"7-1", "7-2",W/"7-3"', ['"7-1"', '"7-2"', '"7-3"']],
  ])('%s', (header, tags) => {
    expect(parsePrecondition({ 'if-match': header }).match).toEqual(tags);
  });
});

// RFC 9110, section 5.6.1.2: a recipient must parse and ignore empty list elements.
test.each(['"7-1",,"7-2"', ', "7-1", , "7-2",'])('empty elements of a tag list are ignored: %s', (header) => {
  expect(parsePrecondition({ 'if-match': header }).match).toEqual(['"7-1"', '"7-2"']);
});

test('an absent header gives no precondition', () => {
  expect(parsePrecondition({})).toEqual({ match: undefined, noneMatch: undefined });
  expect(parsePrecondition({ 'if-match': '"a"' }).noneMatch).toBeUndefined();
  expect(parsePrecondition({ 'if-none-match': '"a"' }).match).toBeUndefined();
});

test('If-Match and If-None-Match are parsed independently', () => {
  expect(parsePrecondition({ 'if-match': '"a"', 'if-none-match': 'W/"b"' })).toEqual({
    match: ['"a"'],
    noneMatch: ['"b"'],
  });
});

describe('a header that is neither * nor a list of tags is refused', () => {
  const malformed = [
    ...['7-1', '"7-1', '7-1"', '"', '"a" "b"', '"a"; "b"', '"a""b"', "'a'", '"a b"', '"a\tb"'],
    ...['w/"a"', 'W/', 'W/a', 'W/ "a"', 'W"a"', '/"a"', '**', '*, "a"', '"a", *', '"a", b'],
  ];
  test.each(malformed)('%j', (header) => {
    for (const name of ['if-match', 'if-none-match']) {
      let thrown: unknown;
      try {
        parsePrecondition({ [name]: header });
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(Problem);
      expect((thrown as Problem).document('', '')).toMatchObject({
        status: 400,
        type: 'urn:problem:invalid-request',
        errors: [{ in: 'header', pointer: `/${name}` }],
      });
    }
  });
});

describe('a session is not modified for a client that has its tag', () => {
  test.each<[string | undefined, boolean]>([
    ['"7-2"', true],
    ['W/"7-2"', true],
    ['"7-1", "7-2"', true],
    ['*', true],
    ['"7-1"', false],
    ['"7-21"', false],
    ['"7-1", "7-3"', false],
    ['""', false],
    [undefined, false],
  ])('%s: %s', (header, notModified) => {
    expect(isNotModified(parsePrecondition({ 'if-none-match': header }), '"7-2"')).toBe(notModified);
  });
});

test.each(Array.from({ length: 256 }, (_, code) => code))(
  'a tag accepts or refuses the character code %i as RFC 9110 does',
  (code) => {
    const isAllowed = code === 0x21 || (code >= 0x23 && code !== 0x7f);
    const read = () => parsePrecondition({ 'if-match': `"${String.fromCharCode(code)}"` });
    if (isAllowed) expect(read).not.toThrow();
    else expect(read).toThrow(Problem);
  },
);
