import { invalid } from '../errors.js';

/**
 * The parsed headers If-Match and If-None-Match (RFC 9110, section 13.1). `'*'` matches any stored session, a list matches
 * its tags, and undefined means that the header is absent.
 */
export interface Precondition {
  match: readonly string[] | '*' | undefined;
  noneMatch: readonly string[] | '*' | undefined;
}

/** RFC 9110's `entity-tag`, without the upper bound `\xff`: some regex engines refuse it, and a header has no higher character. */
const tag = '(?:W/)?"[^"\\x00-\\x20\\x7f]*"';

/** Matches the value of If-Match and If-None-Match. A list may have empty elements (RFC 9110, section 5.6.1.2). */
export const tagsPattern = `^(?:\\*|[ \\t,]*${tag}(?:[ \\t]*,[ \\t,]*${tag})*[ \\t,]*)$`;

const tagsRule = new RegExp(tagsPattern);

/**
 * Parses an If-Match or If-None-Match header.
 *
 * @returns the tags with their quotes, without `W/`. A proxy that compresses an answer adds `W/` to this service's strong
 *   tag, so the weak form still identifies the same state.
 * @throws an `invalid-request` problem if the value is neither `*` nor a list of tags.
 */
function parseTags(name: string, header: string | undefined): readonly string[] | '*' | undefined {
  if (header === undefined) return undefined;
  const trimmed = header.trim();
  if (!tagsRule.test(trimmed)) {
    throw invalid([{ in: 'header', pointer: `/${name}`, detail: 'must be * or a list of quoted entity tags' }]);
  }
  return trimmed === '*' ? '*' : (trimmed.match(/"[^"]*"/g) ?? []);
}

/** Parses If-Match and If-None-Match. @throws an `invalid-request` problem if one is malformed. */
export function parsePrecondition(headers: Readonly<Record<string, string | string[] | undefined>>): Precondition {
  const read = (name: string) => parseTags(name, headers[name]?.toString());
  return { match: read('if-match'), noneMatch: read('if-none-match') };
}

/** Returns whether If-None-Match matches the tag of the stored state, so that the answer is 304 (RFC 9110). */
export function isNotModified({ noneMatch }: Precondition, etag: string): boolean {
  return noneMatch === '*' || (noneMatch?.includes(etag) ?? false);
}
