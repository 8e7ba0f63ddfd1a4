import { invalid } from '../errors.js';

/**
 * What If-Match and If-None-Match ask of the stored session (RFC 9110, section 13.1): `'*'` for any state,
 * else the tags listed; undefined when the header is absent.
 */
export interface Precondition {
  match: readonly string[] | '*' | undefined;
  noneMatch: readonly string[] | '*' | undefined;
}

/** A header holds no character above `\xff`, so this is RFC 9110's `etagc`, written for engines that refuse `\xff`. */
const tag = '(?:W/)?"[^"\\x00-\\x20\\x7f]*"';

/** The pattern of If-Match and If-None-Match. The elements of a list may be empty (RFC 9110, section 5.6.1.2). */
export const tagsPattern = `^(?:\\*|[ \\t,]*${tag}(?:[ \\t]*,[ \\t,]*${tag})*[ \\t,]*)$`;

const tagsRule = new RegExp(tagsPattern);

/**
 * Reads an If-Match or If-None-Match header.
 *
 * @returns the strong tags with their quotes. A `W/` before one is dropped: proxies that compress weaken the
 *   tag they pass on, and what comes back is still the tag we gave.
 * @throws an `invalid-request` problem when it is neither `*` nor a list of tags.
 */
function parseTags(name: string, header: string | undefined): readonly string[] | '*' | undefined {
  if (header === undefined) return undefined;
  const trimmed = header.trim();
  if (!tagsRule.test(trimmed)) {
    throw invalid([{ in: 'header', pointer: `/${name}`, detail: 'must be * or a list of quoted entity tags' }]);
  }
  return trimmed === '*' ? '*' : (trimmed.match(/"[^"]*"/g) ?? []);
}

/** Reads both headers of a request. */
export function parsePrecondition(headers: Readonly<Record<string, string | string[] | undefined>>): Precondition {
  const read = (name: string) => parseTags(name, headers[name]?.toString());
  return { match: read('if-match'), noneMatch: read('if-none-match') };
}

/** Whether a client that holds the listed tags has this state already: RFC 9110's 304. */
export function isNotModified({ noneMatch }: Precondition, etag: string): boolean {
  return noneMatch === '*' || (noneMatch?.includes(etag) ?? false);
}
