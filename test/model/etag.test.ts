import { describe, expect, test } from 'vitest';
import { Problem } from '../../src/errors.js';
import { isNotModified, parsePrecondition } from '../../src/model/etag.js';

describe('a header is read as the tags that it lists', () => {
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

describe('our tag is ours although a proxy weakened it', () => {
  test.each<[string, readonly string[]]>([
    ['W/"7-1"', ['"7-1"']],
    ['W/"7-1", "7-2",W/"7-3"', ['"7-1"', '"7-2"', '"7-3"']],
  ])('%s', (header, tags) => {
    expect(parsePrecondition({ 'if-match': header }).match).toEqual(tags);
  });
});

// RFC 9110, section 5.6.1.2: a recipient must parse and ignore empty list elements.
test.each(['"7-1",,"7-2"', ', "7-1", , "7-2",'])('empty elements of a list are ignored: %s', (header) => {
  expect(parsePrecondition({ 'if-match': header }).match).toEqual(['"7-1"', '"7-2"']);
});

test('a header that is absent asks for nothing', () => {
  expect(parsePrecondition({})).toEqual({ match: undefined, noneMatch: undefined });
  expect(parsePrecondition({ 'if-match': '"a"' }).noneMatch).toBeUndefined();
  expect(parsePrecondition({ 'if-none-match': '"a"' }).match).toBeUndefined();
});

test('both headers are read, each for itself', () => {
  expect(parsePrecondition({ 'if-match': '"a"', 'if-none-match': 'W/"b"' })).toEqual({
    match: ['"a"'],
    noneMatch: ['"b"'],
  });
});

describe('what is neither * nor a list of tags is refused', () => {
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

describe('a session is not modified for those who hold its tag', () => {
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

test.each(Array.from({ length: 256 }, (_, code) => code))('the character %i of a tag is as RFC 9110 has it', (code) => {
  const isAllowed = code === 0x21 || (code >= 0x23 && code !== 0x7f);
  const read = () => parsePrecondition({ 'if-match': `"${String.fromCharCode(code)}"` });
  if (isAllowed) expect(read).not.toThrow();
  else expect(read).toThrow(Problem);
});
